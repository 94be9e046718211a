"""GET a manifest, or ask for a blob, over HTTP: keep-alive, with mitmproxy's idea of TLS."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from metahub_addon.bounded_body import UnreadableBody, read_body
from metahub_addon.http_connections import Connections
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import FetchError, Registry, Repository

MAX_REDIRECTS = 3
# The pool costs by its size, and each connection a handshake; so many carry more than
# mitmproxy can ask for at once.
_MAX_CONNECTIONS = 24
REDIRECTS = frozenset({301, 302, 303, 307, 308})


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


def encoded_headers(named: Mapping[str, str]) -> httpx.Headers:
    """Those that are not empty, encoded as mitmproxy decodes them: the same bytes go on."""
    return httpx.Headers(
        [
            (name.encode(), value.encode("utf-8", "surrogateescape"))
            for name, value in named.items()
            if value
        ]
    )


class HttpFetcher:
    """One keep-alive client, and another for each upstream proxy or client certificate.

    `proxy_auth` is the `user:password` for upstream proxies, or empty.
    """

    def __init__(self, tls: TlsSettings, seconds: float, proxy_auth: str = "") -> None:
        # A client's registry is wherever its firewall led it: one pool for them all.
        self._connections = Connections(tls, seconds, proxy_auth, _MAX_CONNECTIONS, is_shared=True)

    def context_for(self, host: str) -> ssl.SSLContext:
        """The TLS context for a registry's name; raises OSError."""
        return self._connections.context_for(host)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connections.aclose()

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
        return self._connections.client(registry, registry.sni or registry.host)


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
    """The client's own headers and some of ours."""
    named = {
        **given,
        "Accept-Encoding": "identity",
        "Host": repository.registry.authority,
        "User-Agent": repository.user_agent,
        "Authorization": repository.authorization,
    }
    return encoded_headers(named)


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
    except UnreadableBody as error:
        raise FetchError(f"{what}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise FetchError(f"{what}: {type(error).__name__}: {error}"[:300]) from error


async def _read(answer: httpx.Response) -> tuple[str, bytes]:
    if answer.status_code != 200:
        raise FetchError(f"the registry answered {answer.status_code}", answer.status_code)
    body = await read_body(answer, MAX_MANIFEST_BYTES)
    return answer.headers.get("Content-Type", ""), body
