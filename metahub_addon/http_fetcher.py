"""GET a manifest, or ask for a blob, over HTTP: keep-alive, with mitmproxy's idea of TLS."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import httpx

from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.upstream import FetchError, Registry, Repository

MAX_REDIRECTS = 3
# The pool costs by its size, and each connection a handshake; so many carry more than
# mitmproxy can ask for at once.
_MAX_CONNECTIONS = 24
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_VERSIONS = {
    "TLS1": ssl.TLSVersion.TLSv1,
    "TLS1_1": ssl.TLSVersion.TLSv1_1,
    "TLS1_2": ssl.TLSVersion.TLSv1_2,
    "TLS1_3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """mitmproxy's options for TLS towards servers, by the same meaning."""

    insecure: bool = False
    trusted_ca: str | None = None
    trusted_confdir: str | None = None
    client_certs: str | None = None
    ciphers: str | None = None
    version_min: str = "TLS1_2"
    version_max: str = "UNBOUNDED"

    def client_cert(self, host: str) -> str | None:
        """The client certificate for a host: the one file, or the host's in the folder."""
        if not self.client_certs:
            return None
        path = Path(self.client_certs).expanduser()
        if path.is_file():
            return str(path)
        own = path / f"{host}.pem"
        return str(own) if own.is_file() else None

    def context(self, client_cert: str | None) -> ssl.SSLContext:
        """A context that verifies servers as mitmproxy does.

        Raises OSError (ssl.SSLError is one) if a certificate file cannot be loaded.
        """
        cafile = self.trusted_ca
        if self.trusted_ca is None and self.trusted_confdir is None:
            cafile = certifi.where()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS.get(self.version_min, ssl.TLSVersion.MINIMUM_SUPPORTED)
        context.maximum_version = _VERSIONS.get(self.version_max, ssl.TLSVersion.MAXIMUM_SUPPORTED)
        context.load_verify_locations(cafile, self.trusted_confdir)
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        if client_cert:
            context.load_cert_chain(client_cert)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def redirected(url: httpx.URL, location: str) -> httpx.URL:
    """Where an answer's Location leads; raises FetchError if that is to another scheme."""
    target = url.join(location)
    if target.scheme != url.scheme:
        raise FetchError(f"redirected from {url.scheme} to {target.scheme or 'nowhere'}")
    return target


def same_server(url: httpx.URL, other: httpx.URL) -> bool:
    """True if both name one host and port: only there may credentials go on."""
    return (url.host, url.port) == (other.host, other.port)


def anonymous(headers: httpx.Headers) -> httpx.Headers:
    """The headers that any server may see."""
    return httpx.Headers({name: headers[name] for name in ("Accept", "Accept-Encoding")})


class HttpFetcher:
    """One keep-alive client, and another for each upstream proxy or client certificate.

    `proxy_auth` is the `user:password` for upstream proxies, or empty.
    """

    def __init__(self, tls: TlsSettings, seconds: float, proxy_auth: str = "") -> None:
        self._tls = tls
        self._timeout = httpx.Timeout(seconds)
        self._proxy_auth = proxy_auth
        self._clients: dict[tuple[str, str | None], httpx.AsyncClient] = {}
        self._contexts: dict[str | None, ssl.SSLContext] = {}

    def context_for(self, host: str) -> ssl.SSLContext:
        """The TLS context for a registry's name; raises OSError."""
        return self._context(self._tls.client_cert(host))

    def _context(self, cert: str | None) -> ssl.SSLContext:
        context = self._contexts.get(cert)
        if context is None:
            context = self._contexts[cert] = self._tls.context(cert)
        return context

    async def aclose(self) -> None:
        """Close all connections."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def get(self, repository: Repository, digest: str, accept: str) -> tuple[str, bytes]:
        """The Content-Type and body of a manifest; raises FetchError."""
        return await self.ask(repository, f"manifests/{digest}", accept, {})

    async def ask(
        self, repository: Repository, path: str, accept: str, params: Mapping[str, str]
    ) -> tuple[str, bytes]:
        """The Content-Type and body of a path below a repository; raises FetchError."""
        registry = repository.registry
        what = path.rpartition("/")[2]
        url = _url(repository, path)
        for name, value in params.items():
            url = url.copy_set_param(name, value)
        headers, extensions = _headers(repository, {"Accept": accept}), _extensions(registry)
        with _told(what):
            return await self._follow(self._client(registry), url, headers, extensions)

    async def serves(self, repository: Repository, digest: str) -> bool | None:
        """True if a registry serves a blob itself, False if it sends elsewhere for it.

        None if it has nothing for this client. Asks for the first byte, reads none. Raises
        FetchError, also for any other answer.
        """
        registry = repository.registry
        url = _url(repository, f"blobs/{digest}")
        headers = _headers(repository, {"Accept": "*/*", "Range": "bytes=0-0"})
        client, extensions = self._client(registry), _extensions(registry)
        with _told(digest):
            async with client.stream("GET", url, headers=headers, extensions=extensions) as answer:
                if answer.status_code in REDIRECTS:
                    return False
                if answer.status_code in (401, 403, 404):
                    return None
                if answer.status_code in (200, 206):
                    return True
                raise FetchError(f"the registry answered {answer.status_code}")

    async def _follow(
        self,
        client: httpx.AsyncClient,
        url: httpx.URL,
        headers: httpx.Headers,
        extensions: dict[str, str],
    ) -> tuple[str, bytes]:
        for _ in range(MAX_REDIRECTS + 1):
            async with client.stream("GET", url, headers=headers, extensions=extensions) as answer:
                if answer.status_code not in REDIRECTS:
                    return await _read(answer)
                target = redirected(url, answer.headers.get("Location", ""))
            if not same_server(url, target):
                # It gets no credentials, and answers for its own name.
                headers, extensions = anonymous(headers), {}
            url = target
        raise FetchError(f"redirected more than {MAX_REDIRECTS} times")

    def _client(self, registry: Registry) -> httpx.AsyncClient:
        cert = self._tls.client_cert(registry.sni or registry.host)
        client = self._clients.get((registry.via, cert))
        if client is None:
            context = self._context(cert)
            client = httpx.AsyncClient(
                verify=context,
                timeout=self._timeout,
                trust_env=False,
                limits=httpx.Limits(max_connections=_MAX_CONNECTIONS, keepalive_expiry=60),
                proxy=self._proxy(registry.via, context),
            )
            self._clients[(registry.via, cert)] = client
        return client

    def _proxy(self, via: str, context: ssl.SSLContext) -> httpx.Proxy | None:
        if not via:
            return None
        user, _, password = self._proxy_auth.partition(":")
        return httpx.Proxy(
            via,
            auth=(user, password) if self._proxy_auth else None,
            ssl_context=context if via.startswith("https:") else None,
        )


def _url(repository: Repository, path: str) -> httpx.URL:
    registry = repository.registry
    url = httpx.URL(
        scheme=registry.scheme,
        host=registry.host,
        port=registry.port,
        path=f"/v2/{repository.name}/{path}",
    )
    return url.copy_set_param("ns", repository.namespace) if repository.namespace else url


def _headers(repository: Repository, given: Mapping[str, str]) -> httpx.Headers:
    """The client's own headers and some of ours; mitmproxy decodes so: the same bytes go on."""
    named = {
        **given,
        "Accept-Encoding": "identity",
        "Host": repository.registry.authority,
        "User-Agent": repository.user_agent,
        "Authorization": repository.authorization,
    }
    return httpx.Headers(
        [
            (name.encode(), value.encode("utf-8", "surrogateescape"))
            for name, value in named.items()
            if value
        ]
    )


def _extensions(registry: Registry) -> dict[str, str]:
    return {"sni_hostname": registry.sni} if registry.sni else {}


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what goes wrong on the way into FetchError."""
    try:
        yield
    except httpx.LocalProtocolError as error:
        # Its text quotes the header that cannot be sent, and that may be a secret.
        raise FetchError(f"{what}: {type(error).__name__}: a header can't be sent") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise FetchError(f"{what}: {type(error).__name__}: {error}"[:300]) from error


async def _read(answer: httpx.Response) -> tuple[str, bytes]:
    if answer.status_code != 200:
        raise FetchError(f"the registry answered {answer.status_code}", answer.status_code)
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > MAX_MANIFEST_BYTES:
            raise FetchError(f"the answer is larger than {MAX_MANIFEST_BYTES} bytes")
    return answer.headers.get("Content-Type", ""), bytes(body)
