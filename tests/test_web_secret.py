import logging
from pathlib import Path

import pytest

from metahub_addon.web_secret import SecretError, WebSecret


def test_without_a_file_each_process_has_its_own() -> None:
    one, other = WebSecret(), WebSecret()
    assert one.of("") == one.of("") != other.of("")
    assert len(one.of("")) == 32


def test_a_file_is_shared_and_read_again(tmp_path: Path) -> None:
    path, secret = tmp_path / "secret", WebSecret()
    path.write_bytes(b"a" * 32 + b"\n")
    assert secret.of(str(path)) == secret.of(str(path)) == WebSecret().of(str(path)) == b"a" * 32
    path.write_bytes(b"b" * 40)
    assert secret.of(str(path)) == b"b" * 40


@pytest.mark.parametrize("content", [b"", b"short", b" " * 64, b"x" * 5000])
def test_no_secret(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with pytest.raises(SecretError, match="secret: is not 32 to 4096 bytes") as caught:
        WebSecret().of(str(path))
    assert "short" not in str(caught.value).replace(str(tmp_path), "")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(SecretError, match=r"secret_file: .*gone: No such file"):
        WebSecret().of(str(tmp_path / "gone"))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_secret_that_others_can_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    """A group may: that is how Kubernetes gives files to a process."""
    caplog.set_level(logging.DEBUG)
    path, secret = tmp_path / "secret", WebSecret()
    path.write_bytes(b"a" * 32)
    path.chmod(mode)
    assert secret.of(str(path)) == secret.of(str(path))
    said = [f"{record.levelname} {record.getMessage()}" for record in caplog.records]
    told = f"WARNING secret_file: {path}: all users here can read it"
    assert said == ([told] if mode == 0o644 else [])
