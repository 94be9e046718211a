"""What is put into users' files, and taken out of them again."""

import json
import tomllib
from pathlib import PurePosixPath

import pytest

from installer.edits import (
    has_no_cri,
    hosts_folder,
    with_docker_mirror,
    with_hosts_folder,
    without,
    without_mirror,
)
from installer.problem import Problem

MIRROR = "https://127.0.0.1:20443"
DOCKER = "/etc/docker/daemon.json"
CRI = 'plugins."io.containerd.grpc.v1.cri"'
DEFAULT_CONFIG = f"""version = 2
[{CRI}]
  sandbox_image = "pause:3.8"
  [{CRI}.registry]
    config_path = ""
    [{CRI}.registry.auths]
    [{CRI}.registry.mirrors]
[{CRI.replace("grpc", "other")}]
  config_path = "kept"
"""


@pytest.mark.parametrize(
    "before",
    ["", "{}", '{"debug": true}', '{"registry-mirrors": ["https://m.test"], "debug": true}'],
)
def test_docker_mirror(before: str) -> None:
    edit = with_docker_mirror(before, MIRROR)
    document, old = json.loads(edit.text), json.loads(before or "{}")
    assert document["registry-mirrors"] == [MIRROR, *old.get("registry-mirrors", [])]
    assert with_docker_mirror(edit.text, MIRROR) == edit
    rest = without(DOCKER, edit.text, edit.added)
    assert rest is not None
    assert json.loads(rest) == old


def test_docker_mirror_kept_as_an_empty_list() -> None:
    # dockerd does not forget mirrors when their key is gone from the file.
    rest = without_mirror(with_docker_mirror("{}", MIRROR).text, MIRROR, keep=True)
    assert rest is not None
    assert json.loads(rest) == {"registry-mirrors": []}


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"registry-mirrors": 3}'])
def test_broken_docker_configuration_is_left(text: str) -> None:
    assert without(DOCKER, text, MIRROR) is None


def test_docker_mirrors_of_the_wrong_type() -> None:
    with pytest.raises(Problem, match=r"daemon\.json: registry-mirrors: is not a list"):
        with_docker_mirror('{"registry-mirrors": "x"}', MIRROR)


@pytest.mark.parametrize(
    ("before", "major", "plugin"),
    [
        ("", 1, "io.containerd.grpc.v1.cri"),
        ("", 2, "io.containerd.cri.v1.images"),
        ("# nothing\n", 1, None),
        ("version = 2\n", 1, "io.containerd.grpc.v1.cri"),
        ("version = 3\n", 2, "io.containerd.cri.v1.images"),
        (f'version = 2\n[{CRI}]\n  sandbox_image = "x"', 1, "io.containerd.grpc.v1.cri"),
        (DEFAULT_CONFIG, 1, "io.containerd.grpc.v1.cri"),
        (f"version = 2\n[{CRI}.registry]\n", 1, None),
        (f'version = 2\n[{CRI}.registry.mirrors."x"]\nendpoint = ["y"]\n', 1, None),
        (f"version = 2\n{CRI}.registry = {{}}\n", 1, None),
        ("[plugins.cri]\n", 1, None),
    ],
)
def test_containerd_hosts_folder(before: str, major: int, plugin: str | None) -> None:
    if plugin is None:
        with pytest.raises(Problem, match=r"config\.toml: .*config_path = "):
            with_hosts_folder(before, major)
        return
    edit = with_hosts_folder(before, major)
    after = tomllib.loads(edit.text)
    assert after["plugins"][plugin]["registry"]["config_path"] == "/etc/containerd/certs.d"
    assert hosts_folder(edit.text) == PurePosixPath("/etc/containerd/certs.d")
    assert hosts_folder(before) is None
    old = tomllib.loads(before)
    for table, values in old.get("plugins", {}).items():
        others = {key: value for key, value in values.items() if key != "registry"}
        assert others.items() <= after["plugins"][table].items()
    rest = without("/etc/containerd/config.toml", edit.text + "# by the user\n", edit.added)
    assert rest is not None
    assert hosts_folder(rest) is None


def test_a_part_that_is_there_twice_or_gone_is_not_taken_out() -> None:
    path = "/etc/containerd/config.toml"
    assert without(path, "a part, a part", "part") is None
    assert without(path, "nothing", "part") is None
    assert without(path, "anything", "") is None


def test_hosts_folder_of_the_user() -> None:
    text = f'version = 2\n[{CRI}.registry]\nconfig_path = "/etc/own:/etc/docker/certs.d"\n'
    assert hosts_folder(text) == PurePosixPath("/etc/own")


def test_broken_containerd_configuration() -> None:
    with pytest.raises(Problem, match=r"config\.toml: is not TOML: .*line 1"):
        hosts_folder("= broken")


@pytest.mark.parametrize(
    ("text", "is_off"),
    [
        ("", False),
        ('disabled_plugins = ["cri"]', True),
        ('disabled_plugins = ["io.containerd.grpc.v1.cri"]', True),
        ('disabled_plugins = ["aufs"]', False),
    ],
)
def test_cri_switched_off(text: str, is_off: bool) -> None:
    assert has_no_cri(text) is is_off
