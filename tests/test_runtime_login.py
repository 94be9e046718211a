import os
from pathlib import Path

import pytest

from metahub_addon.credentials import Credentials
from metahub_addon.runtime_login import (
    LoginCommand,
    Runtime,
    RuntimeLoginError,
    ca_place,
    find_runtime,
    log_in,
)

CREDENTIALS = Credentials(username="qnib", password="geheim!")


def command(runtime: Runtime = Runtime.DOCKER, plain_http: bool = False) -> LoginCommand:
    return LoginCommand(
        runtime=runtime, registry="hub.test:5443", user="qnib-type1", plain_http=plain_http
    )


def stand_in(folder: Path, name: str, script: str) -> None:
    """A command of a runtime's name that does what a script says."""
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with commands, beside the shell's."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("runtime", "plain_http", "words"),
    [
        (Runtime.DOCKER, False, "docker login --username=qnib-type1 --password-stdin"),
        (Runtime.DOCKER, True, "docker login --username=qnib-type1 --password-stdin"),
        (Runtime.PODMAN, False, "podman login --username=qnib-type1 --password-stdin"),
        (
            Runtime.PODMAN,
            True,
            "podman login --username=qnib-type1 --password-stdin --tls-verify=false",
        ),
    ],
)
def test_commands(runtime: Runtime, plain_http: bool, words: str) -> None:
    assert command(runtime, plain_http).words == (*words.split(), "hub.test:5443")


def test_docker_comes_first(path: Path) -> None:
    assert find_runtime() is None
    stand_in(path, "podman", "")
    assert find_runtime() is Runtime.PODMAN
    stand_in(path, "docker", "")
    assert find_runtime() is Runtime.DOCKER
    assert find_runtime("podman") is Runtime.PODMAN


def test_the_password_comes_by_standard_input_alone(path: Path) -> None:
    stand_in(path, "docker", 'read -r given || :; echo "$@"; [ "$given" = "geheim!" ]')
    said = log_in(command(), CREDENTIALS)
    assert said == "login --username=qnib-type1 --password-stdin hub.test:5443"


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo Error: denied >&2; exit 3", "docker login ended with 3: Error: denied"),
        ('read -r it || :; echo "got $it"; exit 1', "docker login ended with 1: got …"),
        ("printf '\\033]0;x'; exit 1", "docker login ended with 1: \\\\x1b]0;x"),
        ("kill -9 $$", "docker login ended with -9"),
    ],
)
def test_what_it_said_is_told(path: Path, script: str, says: str) -> None:
    stand_in(path, "docker", script)
    with pytest.raises(RuntimeLoginError) as caught:
        log_in(command(), CREDENTIALS)
    assert str(caught.value).startswith(says.replace("\\\\", "\\"))
    assert "geheim" not in str(caught.value)


def test_an_empty_password_hides_nothing(path: Path) -> None:
    stand_in(path, "docker", "echo fine")
    assert log_in(command(), Credentials()) == "fine"


def test_it_hangs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(path, "docker", "exec /bin/sleep 60")
    monkeypatch.setattr("metahub_addon.runtime_login._SECONDS", 0.1)
    with pytest.raises(RuntimeLoginError, match=r"docker: no answer within 0\.1 s"):
        log_in(command(), CREDENTIALS)


@pytest.mark.usefixtures("path")
def test_it_is_not_there() -> None:
    with pytest.raises(RuntimeLoginError, match="docker: cannot be run: No such file"):
        log_in(command(), CREDENTIALS)


def test_where_runtimes_look_for_a_ca() -> None:
    assert [os.fspath(ca_place(one, "hub.test:5443")) for one in Runtime] == [
        "/etc/docker/certs.d/hub.test:5443/ca.crt",
        "/etc/containers/certs.d/hub.test:5443/ca.crt",
    ]
