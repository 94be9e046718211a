"""TLS towards clients that are asked for a certificate: each connection proves it anew.

OpenSSL ends a handshake that wants to resume a session of a server that asks for
certificates and has given its sessions no context (SSL_CTX_set_session_id_context(3)), as
mitmproxy has not; it hands out tickets for them all the same.
"""

from functools import lru_cache
from typing import Any

from OpenSSL import SSL

from metahub_addon.mitmproxy_wrap import unwrap, wrap

_PLACE = "mitmproxy.net.tls:create_client_proxy_context"
_CONTEXTS = 256  # as many as mitmproxy keeps
_SESSION_CONTEXT = b"metahub"


def forbid_resumption() -> bool:
    """Let nobody resume who is asked for a certificate; False if mitmproxy can't be told."""
    return wrap(_PLACE, _without_resumption)


def allow_resumption() -> None:
    """Leave it to mitmproxy again."""
    unwrap(_PLACE)


def _without_resumption(original: Any) -> Any:
    # A context must not change once there are connections with it.
    @lru_cache(_CONTEXTS)
    def create_client_proxy_context(**options: Any) -> SSL.Context:
        context: SSL.Context = original(**options)
        if options.get("request_client_cert"):
            context.set_options(SSL.OP_NO_TICKET)
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            # Of TLS 1.3, OpenSSL hands out tickets even so: with this nobody fails over them.
            context.set_session_id(_SESSION_CONTEXT)
        return context

    return create_client_proxy_context
