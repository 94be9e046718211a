"""The Kubernetes manifests, the image and node.py agree with each other and with the rest."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.manifests import (
    KUBERNETES,
    MIRROR_PORT,
    NODE,
    SCRIPTS,
    Container,
    containers,
    daemonset,
    documents,
    load,
)

PACKAGE = SCRIPTS.parent / "metahub_addon"
OVERLAYS = ("profile", "nvidia")
ALL = [*containers("node"), *containers("removal")]
PREPARE, MITMDUMP, REMOVE, DONE = ALL


mirror = load(KUBERNETES / "mirror.py")


def kustomization(name: str) -> dict[str, Any]:
    (found,) = documents(KUBERNETES / name / "kustomization.yaml")
    return found


def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-B", str(NODE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def addon_options() -> set[str]:
    """What the addon declares, by its source."""
    return {
        str(call.args[0].value)
        for path in PACKAGE.glob("*addon.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "add_option"
        and isinstance(call.args[0], ast.Constant)
    }


@pytest.mark.parametrize("path", sorted(KUBERNETES.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_file_is_yaml(path: Path) -> None:
    assert documents(path)


@pytest.mark.parametrize("name", ["node", "removal"])
def test_a_daemonset_selects_its_own_pods_on_every_node(name: str) -> None:
    found = daemonset(name)
    spec = found["spec"]
    assert (found["apiVersion"], found["kind"]) == ("apps/v1", "DaemonSet")
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    pod = spec["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert spec["updateStrategy"]["type"] == "RollingUpdate"
    assert found["metadata"]["namespace"] in [
        one["metadata"]["name"] for one in documents(KUBERNETES / "namespace.yaml")
    ]


@pytest.mark.parametrize("container", ALL, ids=lambda container: container.spec["name"])
def test_a_container_has_no_more_rights_than_it_needs(container: Container) -> None:
    security = container.security
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"]["drop"] == ["ALL"]
    assert "privileged" not in security
    assert container.spec["resources"]["requests"].keys() == {"cpu", "memory"}
    assert container.spec["resources"]["limits"].keys() == {"memory"}


def test_only_what_prepares_and_removes_is_root() -> None:
    assert [one.security["runAsUser"] for one in ALL] == [0, 60743, 0, 60743]
    for container in (MITMDUMP, DONE):
        assert container.security["runAsNonRoot"] is True
        assert "add" not in container.security["capabilities"]


def test_manifest_image_and_key_name_the_same_user() -> None:
    user = MITMDUMP.security["runAsUser"]
    assert PREPARE.arguments == ["prepare", "--user", str(user)]
    assert f"USER {user}:{user}\n" in (KUBERNETES / "Containerfile").read_text()


@pytest.mark.parametrize("container", [PREPARE, MITMDUMP, REMOVE], ids=lambda one: one.spec["name"])
def test_what_is_mounted_is_a_volume(container: Container) -> None:
    volumes = {volume["name"] for volume in container.pod["volumes"]}
    assert {mount["name"] for mount in container.mounts.values()} <= volumes


@pytest.mark.parametrize("container", [PREPARE, MITMDUMP], ids=lambda one: one.spec["name"])
def test_the_nodes_folders_are_where_node_py_looks(container: Container) -> None:
    volumes = {volume["name"]: volume for volume in container.pod["volumes"]}
    for folder in (f"/{mirror.STORE}", f"/{mirror.MIRROR}"):
        volume = volumes[container.mounts[folder]["name"]]
        assert volume["hostPath"] == {"path": folder, "type": "DirectoryOrCreate"}


def test_the_pod_cannot_change_its_key() -> None:
    assert MITMDUMP.mounts[f"/{mirror.STORE}"]["readOnly"] is True


def test_profile_and_trust_are_optional_and_read_where_they_are_mounted() -> None:
    volumes = {volume["name"]: volume for volume in MITMDUMP.pod["volumes"]}
    for argument in ("--profile=", "--trust="):
        (given,) = (one for one in MITMDUMP.arguments if one.startswith(argument))
        folder = given.removeprefix(argument).removesuffix("/profile.yaml")
        assert volumes[MITMDUMP.mounts[folder]["name"]]["configMap"]["optional"] is True


def test_the_removals_root_is_where_the_nodes_etc_is() -> None:
    assert REMOVE.arguments == ["remove", "--root", "/node"]
    assert REMOVE.mounts.keys() == {"/node/etc"}


def test_every_hook_and_probe_is_a_command() -> None:
    hooks = MITMDUMP.spec["lifecycle"]
    called = [hooks["postStart"], hooks["preStop"], MITMDUMP.spec["livenessProbe"]]
    assert MITMDUMP.spec["startupProbe"]["exec"] == MITMDUMP.spec["livenessProbe"]["exec"]
    image = (KUBERNETES / "Containerfile").read_text()
    for what, command in zip(called, ("announce", "withdraw", "probe"), strict=True):
        assert what["exec"]["command"] == ["python", "/opt/metahub/node.py", command]
    (copied,) = (line for line in image.splitlines() if line.startswith("COPY --chmod"))
    assert {path for path in copied.split() if path.startswith("scripts/")} == {
        str(path.relative_to(SCRIPTS.parent)) for path in KUBERNETES.glob("*.py")
    }
    assert copied.endswith(" /opt/metahub/")
    assert 'ENTRYPOINT ["python", "/opt/metahub/node.py"]\n' in image
    assert MITMDUMP.pod["terminationGracePeriodSeconds"] > mirror.DRAIN_SECONDS
    assert MITMDUMP.spec["livenessProbe"]["timeoutSeconds"] > mirror.PROBE_SECONDS


def test_the_port_is_the_installers() -> None:
    assert mirror.PORT == MIRROR_PORT
    (port,) = MITMDUMP.spec["ports"]
    assert (port["containerPort"], port["hostPort"]) == (MIRROR_PORT, MIRROR_PORT)
    assert port["hostIP"] == "127.0.0.1"
    assert MITMDUMP.spec["readinessProbe"]["tcpSocket"]["port"] == MIRROR_PORT
    assert MITMDUMP.pod["hostNetwork"] is True


def test_hosts_toml_leaves_the_registry_itself_behind_the_mirror() -> None:
    hosts = tomllib.loads(mirror.HOSTS)
    assert "server" not in hosts
    assert hosts["host"] == {
        f"https://127.0.0.1:{MIRROR_PORT}": {
            "capabilities": ["pull", "resolve"],
            "ca": mirror.MIRROR_CA,
        }
    }


def test_every_option_exists() -> None:
    mitmdump = Path(sys.executable).with_name("mitmdump")
    listed = subprocess.run(
        [str(mitmdump), "--options"], capture_output=True, text=True, timeout=60, check=True
    )
    known = {*yaml.safe_load(listed.stdout), *addon_options()}
    named = {
        argument.removeprefix("--set=").partition("=")[0]
        for argument in MITMDUMP.arguments
        if argument.startswith("--set=")
    }
    named |= set(re.findall(r'f?"([a-z_]+)=', NODE.read_text()))
    assert {"metahub_profile", "metahub_timeout", "confdir", "block_global"} <= named
    assert named <= known, named - known


def test_the_image_does_not_show_its_own_c_library() -> None:
    source = (PACKAGE / "detect.py").read_text()
    assert '_LIBC = ("getconf", ' in source
    assert "RUN rm /usr/bin/getconf\n" in (KUBERNETES / "Containerfile").read_text()


def test_the_same_image_puts_it_there_and_takes_it_away() -> None:
    assert kustomization("node")["images"] == kustomization("removal")["images"]
    (image,) = kustomization("node")["images"]
    assert {one.spec["image"] for one in ALL} == {image["name"]}


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_takes_over_the_nodes_with_its_label(name: str) -> None:
    overlay = kustomization(name)
    kind = overlay["nameSuffix"].removeprefix("-")
    assert overlay["labels"] == [{"pairs": {"metahub.org/kind": kind}, "includeSelectors": True}]
    base = daemonset("node")
    assert base["spec"]["selector"]["matchLabels"]["metahub.org/kind"] != kind
    (patch,) = overlay["patches"]
    first, *others = yaml.safe_load(patch["patch"])
    assert _at(base, first["path"]) == {"key": "metahub.org/kind", "operator": "DoesNotExist"}
    assert first["value"] == {"key": "metahub.org/kind", "operator": "In", "values": [kind]}
    for operation in others:
        assert isinstance(_at(base, operation["path"].rpartition("/")[0]), dict | list)


def _at(document: Any, pointer: str) -> Any:
    """What a JSON pointer names."""
    for part in pointer.strip("/").split("/"):
        document = document[int(part) if isinstance(document, list) else part]
    return document


def test_an_overlays_profile_is_mounted() -> None:
    (generated,) = kustomization("profile")["configMapGenerator"]
    volumes = {volume["name"]: volume for volume in MITMDUMP.pod["volumes"]}
    assert volumes["profile"]["configMap"]["name"] == generated["name"]
    assert generated["files"] == ["profile.yaml"]
    assert (KUBERNETES / "profile/profile.yaml").read_text() == (
        SCRIPTS.parent / "profiles/type4.yaml"
    ).read_text()


def test_prepare_makes_one_ca_and_keeps_it(tmp_path: Path) -> None:
    own = ("--root", str(tmp_path), "--user", str(os.getuid()))
    assert call("prepare", *own).returncode == 0
    store = tmp_path / mirror.STORE
    key = (store / mirror.CA_KEY).read_bytes()
    assert (store / mirror.CA_KEY).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in store.iterdir()} == set(mirror.CA_FILES)
    assert call("prepare", *own).returncode == 0
    assert (store / mirror.CA_KEY).read_bytes() == key


@pytest.mark.parametrize("command", ["prepare", "withdraw"])
def test_anothers_default_mirror_stays(tmp_path: Path, command: str) -> None:
    folder = tmp_path / mirror.MIRROR
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text('server = "https://mirror.example"\n')
    done = call(command, "--root", str(tmp_path))
    assert done.returncode == 2
    assert "hosts.toml: is not metahub's" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["hosts.toml"]
    assert not (tmp_path / mirror.STORE).exists()


@pytest.mark.parametrize("command", ["prepare", "remove"])
def test_a_metahub_of_the_nodes_own_stays(tmp_path: Path, command: str) -> None:
    store = tmp_path / mirror.STORE
    store.mkdir(parents=True)
    for name in ("config.yaml", *mirror.CA_FILES):
        (store / name).write_text("installed")
    done = call(command, "--root", str(tmp_path))
    assert done.returncode == 2
    assert "metahub is installed on the node itself" in done.stderr
    assert {path.read_text() for path in store.iterdir()} == {"installed"}


def test_removal_leaves_what_others_have_added(tmp_path: Path) -> None:
    assert call("prepare", "--root", str(tmp_path)).returncode == 0
    others = tmp_path / "etc/containerd/certs.d/registry.example/hosts.toml"
    others.parent.mkdir()
    others.write_text("theirs")
    (tmp_path / mirror.MIRROR / "hosts.toml").write_text(mirror.HOSTS)
    assert call("remove", "--root", str(tmp_path)).returncode == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [others]
    assert not (tmp_path / mirror.STORE).exists()
