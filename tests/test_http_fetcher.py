import gzip
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from metahub_addon.http_fetcher import HttpFetcher
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import FetchError, Registry, Repository, Upstream
from support.bombs import bomb, brotli, little_memory
from support.certificates import make_authority
from support.embedded_registry import DOCKER_MANIFEST, EmbeddedRegistry, Handler, serving
from support.mitmdump import free_port


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


def moved(handler: Handler) -> None:
    handler.reply(307, headers={"Location": "https://layers.test/x"})


def partial(handler: Handler) -> None:
    assert handler.headers["Range"] == "bytes=0-0"
    handler.reply(206, b"x", {"Content-Range": "bytes 0-0/9"})


def answering(status: int) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(status)


@pytest.mark.parametrize(
    ("fault", "token", "serves"),
    [
        (None, "Bearer x", True),
        (partial, "Bearer x", True),
        (moved, "Bearer x", False),
        (answering(401), "Bearer x", None),
        (answering(403), "Bearer x", None),
        (answering(404), "Bearer x", None),
        (None, "Bearer wrong", None),
    ],
)
async def test_who_serves_a_blob_itself(
    fault: Callable[[Handler], None] | None, token: str, serves: bool | None
) -> None:
    """None: it has nothing for this client, which says nothing of others."""
    found, registry = await asked_for_a_blob(fault, token)
    assert found is serves
    (seen,) = registry.seen
    assert (seen.method, seen.authorization) == ("GET", token)
    assert seen.path == f"/v2/a/b/blobs/sha256:{'0' * 64}?ns=reg.test"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 204, 416])
async def test_a_registry_that_fails_serves_nothing(status: int) -> None:
    """So that not each layer asks it anew."""
    with pytest.raises(FetchError, match=f"the registry answered {status}"):
        await asked_for_a_blob(answering(status), "Bearer x")


async def asked_for_a_blob(
    fault: Callable[[Handler], None] | None, token: str
) -> tuple[bool | None, EmbeddedRegistry]:
    registry = EmbeddedRegistry(tokens={"a/b": "Bearer x"}, huge_blob=1024**3)
    if fault:
        registry.faults["/blobs/"] = fault
    fetcher = HttpFetcher(TlsSettings(), 5)
    with serving(registry):
        place = Registry(scheme="http", host="127.0.0.1", port=registry.port, authority="r.test:1")
        repository = Repository(
            registry=place, name="a/b", namespace="reg.test", authorization=token
        )
        try:
            return await fetcher.serves(repository, f"sha256:{'0' * 64}"), registry
        finally:
            await fetcher.aclose()


@pytest.mark.parametrize(
    ("fault", "message"), [(bomb, "is larger than"), (brotli, "though identity was asked for")]
)
async def test_an_answer_is_bounded_before_it_is_decoded(
    fault: Callable[[Handler], None], message: str
) -> None:
    with little_memory(), pytest.raises(FetchError, match=message):
        await got(fault)


async def test_gzip_is_decoded_though_identity_was_asked_for() -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "x/y"}
    zipped = gzip.compress(b"text")
    assert await got(lambda handler: handler.reply(200, zipped, headers)) == ("x/y", b"text")


async def got(fault: Callable[[Handler], None]) -> tuple[str, bytes]:
    fetcher = HttpFetcher(TlsSettings(), 5)
    with serving(EmbeddedRegistry(faults={"": fault})) as registry:
        place = Registry(scheme="http", host="127.0.0.1", port=registry.port, authority="r.test:1")
        try:
            return await fetcher.get(Repository(registry=place, name="a"), "sha256:1", "x/y")
        finally:
            await fetcher.aclose()


async def test_a_registry_that_is_gone_serves_nothing() -> None:
    fetcher = HttpFetcher(TlsSettings(), 5)
    place = Registry(scheme="http", host="127.0.0.1", port=free_port(), authority="r.test:1")
    try:
        with pytest.raises(FetchError, match="ConnectError"):
            await fetcher.serves(Repository(registry=place, name="a"), f"sha256:{'0' * 64}")
    finally:
        await fetcher.aclose()


def test_registries_share_a_context_unless_they_want_a_certificate(tmp_path: Path) -> None:
    make_authority(tmp_path, "127.0.0.1", "r.test")
    own = (tmp_path / "cert.pem").read_text() + (tmp_path / "key.pem").read_text()
    (tmp_path / "r.test.pem").write_text(own)
    fetcher = HttpFetcher(TlsSettings(client_certs=str(tmp_path)), 5)
    shared = fetcher.context_for("a.test")
    assert fetcher.context_for("b.test") is shared
    assert fetcher.context_for("r.test") is not shared
    assert shared.verify_mode is ssl.CERT_REQUIRED
    assert shared.check_hostname


def test_a_context_without_its_certificates_is_an_error(tmp_path: Path) -> None:
    fetcher = HttpFetcher(TlsSettings(trusted_ca=str(tmp_path / "gone.pem")), 5)
    with pytest.raises(FileNotFoundError):
        fetcher.context_for("r.test")
