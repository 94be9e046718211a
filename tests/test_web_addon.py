"""The hooks by themselves, with real ports."""

import asyncio
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from mitmproxy import exceptions
from mitmproxy.test import taddons

from metahub_addon import web_addon, web_certificate
from metahub_addon.web_addon import Web
from metahub_addon.web_listen import Listen
from metahub_addon.web_sockets import open_sockets
from page.client import basic
from page.fake_hub import FakeHub
from support.certificates import make_authority
from support.mitmdump import free_port


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
async def context(hub: FakeHub) -> AsyncIterator["taddons.context"]:
    with taddons.context(Web(Counter(rewritten=3), lambda: hub, str)) as made:
        yield made
        web_of(made).done()


def web_of(context: "taddons.context") -> Web:
    web = context.master.addons.get("web")
    assert isinstance(web, Web)
    return web


def configure(context: "taddons.context", web: str, certificate: str = "") -> None:
    context.configure(web_of(context), metahub_web=web, metahub_web_certificate=certificate)


async def get(url: str, ca: Path | None = None) -> httpx.Response:
    verify = ssl.create_default_context(cafile=ca) if ca else True
    async with httpx.AsyncClient(verify=verify, trust_env=False) as client:
        return await client.get(url, headers=basic())


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield


def make_pem(folder: Path, password: bytes = b"") -> tuple[Path, Path]:
    """A CA's file, and one with a key and a certificate by it."""
    folder.mkdir(exist_ok=True)
    ca, certificate, key = make_authority(folder, "127.0.0.1")
    if password:
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(
            loaded.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(password),
            )
        )
    pem = folder / "both.pem"
    pem.write_bytes(key.read_bytes() + certificate.read_bytes())
    return ca, pem


async def test_off_by_default(context: "taddons.context", monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Listen] = []

    def note(listen: Listen) -> list[socket.socket]:
        opened.append(listen)
        return open_sockets(listen)

    monkeypatch.setattr(web_addon, "open_sockets", note)
    context.configure(web_of(context), metahub_web_certificate="")  # all that a start updates
    web_of(context).running()
    assert opened == []
    configure(context, f"127.0.0.1:{free_port()}")
    assert len(opened) == 1  # it would have been seen


async def test_serves_from_running_to_done(context: "taddons.context") -> None:
    port = free_port()
    configure(context, f"127.0.0.1:{port}")
    web_of(context).running()
    metrics = await get(f"http://127.0.0.1:{port}/metrics")
    types = await get(f"http://127.0.0.1:{port}/api/machine-types")
    web_of(context).done()
    assert 'metahub_manifests_total{outcome="rewritten"} 3.0' in metrics.text
    assert "metahub_machine_types 5.0" in metrics.text
    assert len(types.json()["types"]) == 5
    with pytest.raises(httpx.ConnectError):
        await get(f"http://127.0.0.1:{port}/metrics")


async def test_an_option_of_others_changes_nothing(context: "taddons.context") -> None:
    port = free_port()
    configure(context, f"127.0.0.1:{port}")
    web_of(context).running()
    web_of(context).configure({"flow_detail"})
    assert (await get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


async def test_the_port_of_a_proxy_that_never_ran_is_free(context: "taddons.context") -> None:
    port = free_port()
    configure(context, f"127.0.0.1:{port}")
    web_of(context).done()
    with taken(port):
        pass


async def test_a_node_has_no_types() -> None:
    web = Web(Counter(), lambda: None, lambda: "the CA is gone")
    with taddons.context(web) as context:
        port = free_port()
        context.configure(web, metahub_web=f"127.0.0.1:{port}")
        web.running()
        metrics = await get(f"http://127.0.0.1:{port}/metrics")
        ready = await get(f"http://127.0.0.1:{port}/readyz")
        web.done()
    assert "metahub_machine_types" not in metrics.text
    assert (ready.status_code, ready.text) == (503, "the CA is gone\n")


async def test_a_taken_port(context: "taddons.context") -> None:
    port = free_port()
    with taken(port), pytest.raises(exceptions.OptionsError, match=r"metahub_web: .*in use"):
        configure(context, f"127.0.0.1:{port}")


@pytest.mark.parametrize("text", ["9090", "999.1.1.1:9090", "192.0.2.1:9090"])
async def test_no_address_of_ours(context: "taddons.context", text: str) -> None:
    with pytest.raises(exceptions.OptionsError, match="metahub_web: "):
        configure(context, text)


async def test_another_port_while_it_runs(context: "taddons.context") -> None:
    first, second = free_port(), free_port()
    configure(context, f"127.0.0.1:{first}")
    web_of(context).running()
    configure(context, f"127.0.0.1:{second}")
    assert (await get(f"http://127.0.0.1:{second}/healthz")).text == "ok\n"
    with pytest.raises(httpx.ConnectError):
        await get(f"http://127.0.0.1:{first}/healthz")


async def test_after_an_error_all_is_as_it_was(context: "taddons.context") -> None:
    port = free_port()
    configure(context, f"127.0.0.1:{port}")
    web_of(context).running()
    for wrong in ("nonsense", "192.0.2.1:9090"):
        with pytest.raises(exceptions.OptionsError):
            configure(context, wrong)
        assert (await get(f"http://127.0.0.1:{port}/healthz")).text == "ok\n"
    with pytest.raises(exceptions.OptionsError):
        configure(context, f"127.0.0.1:{port}", "/nowhere.pem")
    assert (await get(f"http://127.0.0.1:{port}/healthz")).text == "ok\n"


async def test_tls(context: "taddons.context", tmp_path: Path) -> None:
    ca, pem = make_pem(tmp_path)
    port = free_port()
    configure(context, f"127.0.0.1:{port}", str(pem))
    web_of(context).running()
    assert (await get(f"https://127.0.0.1:{port}/login", ca)).status_code == 200
    with pytest.raises(httpx.TransportError):
        await get(f"http://127.0.0.1:{port}/healthz")


async def test_a_certificate_while_it_runs(context: "taddons.context", tmp_path: Path) -> None:
    ca, pem = make_pem(tmp_path)
    port = free_port()
    configure(context, f"127.0.0.1:{port}")
    web_of(context).running()
    configure(context, f"127.0.0.1:{port}", str(pem))
    assert (await get(f"https://127.0.0.1:{port}/healthz", ca)).text == "ok\n"
    configure(context, "", str(pem))
    with pytest.raises(httpx.ConnectError):
        await get(f"https://127.0.0.1:{port}/healthz", ca)


async def test_a_renewed_certificate(
    context: "taddons.context",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(web_certificate, "_RENEW_SECONDS", 0.01)
    caplog.set_level(logging.INFO)
    _, pem = make_pem(tmp_path / "old")
    new_ca, new_pem = make_pem(tmp_path / "new")
    port = free_port()
    configure(context, f"127.0.0.1:{port}", str(pem))
    web_of(context).running()
    await asyncio.sleep(0)  # the watch begins
    pem.write_text("half of")
    await until("the last certificate stays", caplog)
    os.replace(new_pem, pem)
    await until("read anew", caplog)
    assert (await get(f"https://127.0.0.1:{port}/healthz", new_ca)).text == "ok\n"


async def until(text: str, caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(20):
        while text not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["missing", "garbage", "encrypted", "folder"])
async def test_no_certificate(context: "taddons.context", tmp_path: Path, kind: str) -> None:
    pem = tmp_path / "both.pem"
    if kind == "garbage":
        pem.write_text("-----BEGIN PRIVATE KEY-----\nbm9uc2Vuc2U=\n-----END PRIVATE KEY-----\n")
    elif kind == "encrypted":
        make_pem(tmp_path, b"password of the key")
    elif kind == "folder":
        pem.mkdir()
    with pytest.raises(exceptions.OptionsError, match="metahub_web_certificate: ") as caught:
        configure(context, f"127.0.0.1:{free_port()}", str(pem))
    assert str(pem) in str(caught.value)
    assert "bm9uc2Vuc2U" not in str(caught.value)


async def test_a_missing_secret_is_said_at_the_start(
    context: "taddons.context", hub: FakeHub, caplog: pytest.LogCaptureFixture
) -> None:
    hub.config = replace(hub.config, secret_file="/nowhere/secret")
    configure(context, f"127.0.0.1:{free_port()}")
    web_of(context).running()
    assert "no one can log in: secret_file: /nowhere/secret: No such file" in caplog.text
    # At an error mitmproxy would end, and no pull would be answered.
    assert {record.levelname for record in caplog.records} <= {"INFO", "WARNING"}
