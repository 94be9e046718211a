import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from metahub_addon.http_connections import Connections
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import Registry
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, serving

PLACE = Registry(scheme="https", host="r.test", port=443, authority="r.test")


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    connections = Connections(TlsSettings(), 5, "user:secret")
    yield connections
    await connections.aclose()


async def test_a_registry_has_its_own_client(connections: Connections) -> None:
    own = connections.client(PLACE, "r.test")
    assert connections.client(PLACE, "auth.test") is own
    assert connections.client(replace(PLACE, authority="o.test"), "o.test") is not own
    assert connections.client(replace(PLACE, via="http://proxy.test:1"), "r.test") is not own
    assert connections.client(replace(PLACE, via="https://proxy.test:1"), "r.test") is not own


async def test_a_client_certificate_goes_to_its_host_only(tmp_path: Path) -> None:
    make_authority(tmp_path, "127.0.0.1", "r.test")
    both = (tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text()
    (tmp_path / "r.test.pem").write_text(both)
    connections = Connections(TlsSettings(client_certs=str(tmp_path)), 5)
    own = connections.client(PLACE, "r.test")
    assert connections.client(PLACE, "auth.test") is not own
    assert connections.client(PLACE, "layers.test") is connections.client(PLACE, "auth.test")
    await connections.aclose()


async def test_certificates_that_cannot_be_loaded(tmp_path: Path) -> None:
    connections = Connections(TlsSettings(trusted_ca=str(tmp_path / "gone.pem")), 5)
    with pytest.raises(FileNotFoundError):
        connections.client(PLACE, "r.test")
    (tmp_path / "bad.pem").write_text("x")
    connections = Connections(TlsSettings(trusted_ca=str(tmp_path / "bad.pem")), 5)
    with pytest.raises(ssl.SSLError):
        connections.client(PLACE, "r.test")


async def test_a_proxy_gets_its_password(connections: Connections) -> None:
    """And the other way round: http through a proxy names the whole URL."""
    proxy = EmbeddedRegistry()
    proxy.faults["GET "] = lambda handler: handler.reply(
        200, f"{handler.path} {handler.headers.get('Proxy-Authorization')}".encode()
    )
    with serving(proxy):
        place = replace(PLACE, scheme="http", via=f"http://127.0.0.1:{proxy.port}")
        answer = await connections.client(place, "r.test").get("http://r.test/v2/")
    assert answer.text == "http://r.test/v2/ Basic dXNlcjpzZWNyZXQ="


async def test_a_session_of_one_request_is_not_the_next_ones(connections: Connections) -> None:
    def cookie(handler: Handler) -> None:
        shown = handler.headers.get("Cookie", "none")
        handler.reply(200, shown.encode(), {"Set-Cookie": "session=secret; Path=/"})

    registry = EmbeddedRegistry(faults={"GET ": cookie})
    with serving(registry):
        client = connections.client(PLACE, "127.0.0.1")
        url = httpx.URL(f"http://127.0.0.1:{registry.port}/v2/")
        assert [(await client.get(url)).text for _ in range(2)] == ["none", "none"]
