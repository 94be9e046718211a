import os
from pathlib import Path

import pytest

from metahub_addon.hub_config import CertificateRule, HubConfig, UpstreamRule
from metahub_addon.named_files import unreadable_files
from metahub_addon.upstream import Registry

PLACE = Registry(scheme="https", host="r.test", port=443, authority="r.test")


def naming(path: Path) -> HubConfig:
    return HubConfig(
        types={},
        accounts={},
        certificates=(
            CertificateRule(type="t", fingerprint="00" * 32),
            CertificateRule(type="t", authority=str(path)),
            CertificateRule(type="u", authority=str(path)),
        ),
        upstreams=(
            UpstreamRule(name="r", registry=PLACE),
            UpstreamRule(name="s", registry=PLACE, username="x", password_file=str(path)),
            UpstreamRule(name="t", registry=PLACE, docker_config=str(path)),
        ),
        secret_file="/nowhere/secret",
    )


def test_what_can_be_read_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert unreadable_files(naming(path)) == []


def test_a_pipe_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert unreadable_files(naming(tmp_path / "pipe")) == []


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_each_that_can_not_be_read_is_told_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "folder":
        path.mkdir()
    says = "No such file or directory" if kind == "missing" else "Is a directory"
    assert unreadable_files(naming(path)) == [
        f"{key}: {path}: cannot be read: {says}"
        for key in ("authority", "password_file", "docker_config")
    ]
