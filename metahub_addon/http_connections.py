"""Keep-alive HTTP clients, one for each registry, with mitmproxy's idea of TLS."""

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from metahub_addon import __version__
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import Registry

USER_AGENT = f"metahub/{__version__}"
_MAX_CONNECTIONS = 32


class Connections:
    """Clients by registry and client certificate: a slow registry takes no other's connections.

    `proxy_auth` is the `user:password` for upstream proxies, or empty. `size` bounds the
    connections of a client; `is_shared` has one for all registries.
    """

    def __init__(
        self,
        tls: TlsSettings,
        seconds: float,
        proxy_auth: str = "",
        size: int = _MAX_CONNECTIONS,
        is_shared: bool = False,
    ) -> None:
        self._size, self._is_shared = size, is_shared
        self._tls = tls
        self._timeout = httpx.Timeout(seconds)
        self._proxy_auth = proxy_auth
        self._clients: dict[tuple[str, ...], httpx.AsyncClient] = {}
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    def client(self, registry: Registry, host: str) -> httpx.AsyncClient:
        """The client for a host that a registry's requests lead to; raises OSError."""
        cert = self._tls.client_cert(host)
        own = () if self._is_shared else registry.identity
        key = (*own, registry.via, cert or "")
        client = self._clients.get(key)
        if client is None:
            client = self._clients[key] = self._new(registry.via, self._context(cert))
        return client

    def context_for(self, host: str) -> ssl.SSLContext:
        """The TLS context for a host's name; raises OSError."""
        return self._context(self._tls.client_cert(host))

    async def aclose(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _new(self, via: str, context: ssl.SSLContext) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=context,
            headers={"User-Agent": USER_AGENT},
            timeout=self._timeout,
            trust_env=False,
            limits=httpx.Limits(max_connections=self._size, keepalive_expiry=60),
            proxy=self._proxy(via, context),
            # A session that a registry opens for one request must not carry the next.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def _context(self, cert: str | None) -> ssl.SSLContext:
        context = self._contexts.get(cert)
        if context is None:
            context = self._contexts[cert] = self._tls.context(cert)
        return context

    def _proxy(self, via: str, context: ssl.SSLContext) -> httpx.Proxy | None:
        if not via:
            return None
        user, _, password = self._proxy_auth.partition(":")
        return httpx.Proxy(
            via,
            auth=(user, password) if self._proxy_auth else None,
            ssl_context=context if via.startswith("https:") else None,
        )
