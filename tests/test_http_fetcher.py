from dataclasses import replace
from pathlib import Path

import pytest

from metahub_addon.http_fetcher import HttpFetcher, TlsSettings
from metahub_addon.upstream import FetchError, Registry, Repository, Upstream
from support.embedded_registry import DOCKER_MANIFEST, EmbeddedRegistry, serving


async def fetch(authorization: str) -> tuple[str, bytes, str]:
    """The answer that a client with these credentials gets, and what the registry saw."""
    registry = EmbeddedRegistry()
    image = registry.put_image("a/b", "x")
    fetcher = HttpFetcher(TlsSettings(), 5)
    with serving(registry):
        place = Registry(scheme="http", host="127.0.0.1", port=registry.port, authority="r.test:1")
        repository = Repository(registry=place, name="a/b", authorization=authorization)
        try:
            found = await Upstream(fetcher, 10_000, 5).fetch(
                replace(repository), image["digest"], DOCKER_MANIFEST
            )
        finally:
            await fetcher.aclose()
    return found.media_type, found.body, registry.seen[-1].authorization


@pytest.mark.parametrize("sent", [b"Bearer plain", b"Bearer secret\xe9", "Basic sécret".encode()])
async def test_credentials_go_on_byte_for_byte(sent: bytes) -> None:
    """As mitmproxy gives them: bytes that are no UTF-8 stand as surrogates."""
    media_type, _, seen = await fetch(sent.decode("utf-8", "surrogateescape"))
    assert media_type == DOCKER_MANIFEST
    assert seen.encode("latin-1") == sent


@pytest.mark.parametrize("authorization", ["Bearer secret\x00", "Bearer secret\x01\r\nX: y"])
async def test_credentials_that_cannot_be_sent_are_not_shown(authorization: str) -> None:
    with pytest.raises(FetchError) as caught:
        await fetch(authorization)
    assert "LocalProtocolError" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_client_certificates(tmp_path: Path) -> None:
    own = tmp_path / "r.test.pem"
    own.write_text("")
    assert TlsSettings().client_cert("r.test") is None
    assert TlsSettings(client_certs=str(own)).client_cert("other.test") == str(own)
    folder = TlsSettings(client_certs=str(tmp_path))
    assert folder.client_cert("r.test") == str(own)
    assert folder.client_cert("other.test") is None
