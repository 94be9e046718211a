"""A TLS handshake of the proxy with itself, in memory: can it answer clients at all?

An event loop may run well while each handshake fails: an expired CA, a key that cannot be
read, a library that the service's confinement breaks.
"""

import ssl
import time
from contextlib import suppress

from mitmproxy import connection, ctx, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.proxy.context import Context
from OpenSSL import SSL

_NAME = "self-check.metahub.invalid"
_MOST_TURNS = 10
_RECORDS = 65536


class UnwellError(Exception):
    """Clients could not be answered; the message says why."""


def check_handshake() -> None:
    """Raises UnwellError unless a client can be answered by TLS.

    It trusts our CA, except where the operator's certificates stand before that one's.
    """
    tlsconfig = ctx.master.addons.get("tlsconfig")
    if not isinstance(tlsconfig, TlsConfig):
        raise UnwellError("mitmproxy has no addon for TLS")
    try:
        server = _server_side(tlsconfig)
        if not _shake_hands(server, _trust(tlsconfig)):
            raise UnwellError("the handshake does not end")
    except (ssl.SSLError, SSL.Error, OSError, ValueError, MemoryError) as error:
        raise UnwellError(f"{type(error).__name__}: {error}") from error


def _server_side(tlsconfig: TlsConfig) -> SSL.Connection:
    """What mitmproxy would answer a client with."""
    client = connection.Client(
        peername=("127.0.0.1", 0), sockname=("127.0.0.1", 0), timestamp_start=time.time()
    )
    client.sni = _NAME
    data = tls.TlsData(client, Context(client, ctx.options))
    tlsconfig.tls_start_client(data)
    if data.ssl_conn is None:
        raise UnwellError("mitmproxy has no TLS context for clients")
    return data.ssl_conn


def _trust(tlsconfig: TlsConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=tlsconfig.certstore.default_ca.to_pem().decode())
    # Newer Pythons want extensions in a CA that runtimes do without.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    if ctx.options.certs:
        # Issued by whomever, for the names of whatever: who trusts them is not for us to say.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _shake_hands(server: SSL.Connection, trust: ssl.SSLContext) -> bool:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(incoming, outgoing, server_hostname=_NAME)
    for _ in range(_MOST_TURNS):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            return True
        server.bio_write(outgoing.read())
        with suppress(SSL.WantReadError):
            server.do_handshake()
        incoming.write(server.bio_read(_RECORDS))
    return False
