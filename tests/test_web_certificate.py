"""The file by itself; test_web_addon.py has it behind a port."""

import asyncio
import ssl
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


async def test_a_file_that_goes_and_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_certificate, "_RENEW_SECONDS", 0.01)
    pem = make_pem(tmp_path)
    text = pem.read_bytes()
    watch = asyncio.create_task(renew_certificate(read_certificate(str(pem)), str(pem)))
    await asyncio.sleep(0.1)  # looks at what has not changed
    pem.unlink()
    async with asyncio.timeout(20):
        while "the last certificate stays" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    caplog.set_level("INFO")
    pem.write_bytes(text)
    async with asyncio.timeout(20):
        while "is read anew" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    watch.cancel()
