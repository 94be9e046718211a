"""The file by itself; test_web_addon.py has it behind a port."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from metahub_addon import web_certificate
from metahub_addon.web_certificate import (
    InvalidCertificate,
    read_certificate,
    renew_certificate,
)
from support.certificates import make_authority


def make_pem(folder: Path) -> Path:
    _, certificate, key = make_authority(folder, "127.0.0.1")
    pem = folder / "both.pem"
    pem.write_bytes(key.read_bytes() + certificate.read_bytes())
    return pem


def test_read(tmp_path: Path) -> None:
    context = read_certificate(str(make_pem(tmp_path)))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_key_alone(tmp_path: Path) -> None:
    pem = make_pem(tmp_path)
    pem.write_bytes((tmp_path / "key.pem").read_bytes())
    with pytest.raises(InvalidCertificate, match=r"both.pem: holds no key and certificate"):
        read_certificate(str(pem))


class Minutes:
    """Sleep that takes no time: at each, what was said so far is noted, then a step is made."""

    def __init__(self, caplog: pytest.LogCaptureFixture, *steps: Callable[[], object]) -> None:
        self._caplog = caplog
        self._steps = iter(steps)
        self.said: list[list[str]] = []

    async def __call__(self, seconds: float) -> None:
        self.said.append([message.rpartition(": ")[2] for message in self._caplog.messages])
        self._caplog.clear()
        step = next(self._steps, None)
        if step is None:
            raise asyncio.CancelledError
        step()


async def test_a_file_that_goes_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    pem = make_pem(tmp_path)
    text, context, reads = pem.read_bytes(), read_certificate(str(pem)), 0

    def read(path: str) -> ssl.SSLContext:
        nonlocal reads
        reads += 1
        return read_certificate(path)

    monkeypatch.setattr(web_certificate, "read_certificate", read)
    minutes = Minutes(caplog, str, pem.unlink, str, lambda: pem.write_bytes(text), str)
    with pytest.raises(asyncio.CancelledError):
        await renew_certificate(context, str(pem), minutes)
    stays = "holds no key and certificate (No such file or directory)"
    anew = "the certificate is read anew"
    assert minutes.said == [[], [], [stays], [], [anew], []]
    assert reads == 2  # only what has changed
