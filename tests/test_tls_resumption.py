"""With mitmproxy's own TLS context; integration/test_hub_connections.py has a whole proxy."""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mitmproxy.net import tls
from OpenSSL import SSL

from metahub_addon.tls_resumption import allow_resumption, forbid_resumption
from support.certificates import make_authority

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(autouse=True)
def forbidden() -> Iterator[None]:
    assert forbid_resumption()
    yield
    allow_resumption()
    tls.create_client_proxy_context.cache_clear()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    return make_authority(tmp_path_factory.mktemp("tls"), "127.0.0.1", "hub.test")


def server_context(asks: bool) -> SSL.Context:
    """The one that mitmproxy has for its clients."""
    made: SSL.Context = tls.create_client_proxy_context(
        method=tls.Method.TLS_SERVER_METHOD,
        min_version=tls.Version.TLS1_2,
        max_version=tls.Version.UNBOUNDED,
        cipher_list=None,
        ecdh_curve=None,
        chain_file=None,
        alpn_select_callback=None,
        request_client_cert=asks,
        extra_chain_certs=(),
        dhparams=None,
    )
    return made


class Client:
    """A client that resumes its session wherever it may."""

    def __init__(self, ca: Path, version: ssl.TLSVersion) -> None:
        self.context = ssl.create_default_context(cafile=str(ca))
        self.context.maximum_version = version
        self.session: ssl.SSLSession | None = None

    def connect(self, server_context: SSL.Context) -> bool | None:
        """True if a session was resumed; raises SSL.Error where the server ends it."""
        server = SSL.Connection(server_context)
        server.set_accept_state()
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.context.wrap_bio(
            to_client, to_server, server_hostname="hub.test", session=self.session
        )
        for step in [client.do_handshake] * 4 + [lambda: client.read(1)]:
            with suppress(ssl.SSLWantReadError):
                step()
            if sent := to_server.read():
                server.bio_write(sent)
            with suppress(SSL.WantReadError):
                server.do_handshake()
            with suppress(SSL.WantReadError):
                to_client.write(server.bio_read(2**16))
        self.session = client.session
        return client.session_reused


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("asks", [True, False])
def test_a_second_connection(
    authority: tuple[Path, Path, Path], version: ssl.TLSVersion, asks: bool
) -> None:
    """One that is not asked for a certificate may resume, as before."""
    ca, certificate, key = authority
    context = server_context(asks)
    context.use_certificate_chain_file(str(certificate))
    context.use_privatekey_file(str(key))
    client = Client(ca, version)
    assert [client.connect(context) for _ in range(3)] == [False, not asks, not asks]


def test_contexts_are_kept() -> None:
    assert server_context(True) is server_context(True)
    assert server_context(True) is not server_context(False)
