"""The exchanges with a registry and its token server, over HTTP."""

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from metahub_addon.bounded_body import UnreadableBody, read_body
from metahub_addon.http_connections import USER_AGENT, Connections
from metahub_addon.http_fetcher import (
    MAX_REDIRECTS,
    REDIRECTS,
    anonymous,
    encoded_headers,
    redirected,
    same_server,
)
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.led_places import address_of, check_answer, check_name
from metahub_addon.local_hosts import is_local_host
from metahub_addon.own_loop import OwnLoop
from metahub_addon.printable import printable
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.token_exchange import MAX_TOKEN_ANSWER, TokenRequest
from metahub_addon.upstream import FetchError, Registry, Repository

_SAFE_METHODS = frozenset({"GET", "HEAD"})
# OpenSSL's X509_V_ERR_*: no issuer that is trusted. Dates and names are other numbers.
_NO_ISSUER = frozenset({2, 18, 19, 20, 21})


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAnswer:
    """What a server said; the headers' names are in lower case. `address` is the server's."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    address: str = ""


class RegistryHttp:
    """Bounded exchanges, each within `seconds`; whatever goes wrong is a FetchError."""

    def __init__(self, tls: TlsSettings, seconds: float, proxy_auth: str = "") -> None:
        self._connections = Connections(tls, seconds, proxy_auth)
        self._seconds = seconds
        self._loop = OwnLoop()
        self._addresses: dict[tuple[str, ...], str] = {}

    async def aclose(self) -> None:
        """Close all connections."""
        await self._loop.run(self._connections.aclose())
        self._loop.close()

    async def ask(
        self,
        repository: Repository,
        method: str,
        path: str,
        given: Mapping[str, str],
        authorization: str = "",
    ) -> RegistryAnswer:
        """A registry's answer, where reading is redirected: that from there."""
        asking = self._ask(repository, method, path, given, authorization)
        return await self._loop.run(asking)

    async def ask_token(self, registry: Registry, asked: TokenRequest) -> RegistryAnswer:
        """A token server's answer; nobody who has credentials sent to him is sent elsewhere."""
        return await self._loop.run(self._ask_token(registry, asked))

    async def _ask(
        self,
        repository: Repository,
        method: str,
        path: str,
        given: Mapping[str, str],
        authorization: str,
    ) -> RegistryAnswer:
        registry, bare = repository.registry, path.partition("?")[0]
        with _told(f"{registry.authority}/v2/{repository.name}/{bare}"):
            url, headers = _url(repository, path), _headers(registry, given, authorization)
            return await self._follow(registry, method, url, headers)

    async def _ask_token(self, registry: Registry, asked: TokenRequest) -> RegistryAnswer:
        named = {"Accept": "application/json", "Authorization": asked.authorization}
        method = "GET" if asked.form is None else "POST"
        with _told(f"the token server of {registry.authority}"):
            headers = encoded_headers({**named, "Accept-Encoding": "identity"})
            url = httpx.URL(asked.url)
            client = self._connections.client(registry, url.host)
            request = client.build_request(method, url, headers=headers, data=asked.form)
            known = self._addresses.get(registry.identity, registry.host)
            leader = known if _is_led(registry, url) else None
            return await self._exchange(client, request, MAX_TOKEN_ANSWER, leader)

    async def _follow(
        self, registry: Registry, method: str, url: httpx.URL, headers: httpx.Headers
    ) -> RegistryAnswer:
        extensions = {"sni_hostname": registry.sni} if registry.sni else {}
        host, is_own, leader = registry.sni or registry.host, True, None
        for _ in range(MAX_REDIRECTS + 1):
            client = self._connections.client(registry, host)
            request = client.build_request(method, url, headers=headers, extensions=extensions)
            answer = await self._exchange(client, request, MAX_MANIFEST_BYTES, leader)
            if is_own and answer.address:
                self._addresses[registry.identity] = answer.address
            if answer.status == 401 and not is_own:
                # As the registry's it would name a place that the registry's login goes to.
                raise FetchError("redirected to a server that wants a login of its own")
            if answer.status not in REDIRECTS or method not in _SAFE_METHODS:
                return answer
            target = _target(registry, url, answer.headers.get("location", ""))
            if not same_server(url, target):
                # It gets no credentials, and answers for its own name.
                headers, extensions, host = anonymous(headers), {}, target.host
                is_own = False
            url, leader = target, answer.address if _is_led(registry, target) else None
        raise FetchError(f"redirected more than {MAX_REDIRECTS} times")

    async def _exchange(
        self, client: httpx.AsyncClient, request: httpx.Request, limit: int, leader: str | None
    ) -> RegistryAnswer:
        """The answer to a request; `leader` is the address of who named its place, if another."""
        async with asyncio.timeout(self._seconds):
            if leader is not None:
                await check_name(leader, request.url)
            answer = await _send(client, request)
            address = address_of(answer)
            try:
                if leader is not None:
                    check_answer(leader, request.url, address)
                body = await read_body(answer, limit)
            finally:
                await answer.aclose()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return RegistryAnswer(
            status=answer.status_code, headers=headers, body=body, address=address
        )


async def _send(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    try:
        return await client.send(request, stream=True, follow_redirects=False)
    except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
        if request.method not in _SAFE_METHODS:
            raise
    # Most likely a kept connection that was closed just then (RFC 9110, 9.2.2).
    return await client.send(request, stream=True, follow_redirects=False)


def _url(repository: Repository, path: str) -> httpx.URL:
    """Where a path (with its query) below a repository is; raises FetchError if it leaves it."""
    registry = repository.registry
    bare, _, query = path.partition("?")
    parts = ["v2", *filter(None, (repository.name, bare))]
    whole = "/" + "/".join(parts)
    if {"..", "."} & set(whole.split("/")):
        raise FetchError(f"{printable(whole)!r} is no path of a registry")
    url = httpx.URL(
        scheme=registry.scheme,
        host=registry.host,
        port=registry.port,
        path="/v2/" if whole == "/v2" else whole,
        query=query.encode() or None,
    )
    return url.copy_set_param("ns", repository.namespace) if repository.namespace else url


def _target(registry: Registry, url: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads; raises FetchError if a registry may not lead there."""
    target = redirected(url, location).copy_with(userinfo=b"")
    if is_local_host(target.raw_host.decode()) and not is_local_host(registry.host):
        raise FetchError(f"redirected to {printable(target.host)}, which is local to the hub")
    return target


def _is_led(registry: Registry, url: httpx.URL) -> bool:
    """True if somebody else than the hub's file names the host of a request.

    An upstream proxy looks names up by itself, and is who connects.
    """
    return not registry.via and url.host not in (registry.host, registry.sni)


def _headers(registry: Registry, given: Mapping[str, str], authorization: str) -> httpx.Headers:
    """What the caller gives, but for what is ours to say."""
    own = {
        "Accept-Encoding": "identity",
        "Host": registry.authority,
        "User-Agent": USER_AGENT,
        "Authorization": authorization,
    }
    kept = {name: value for name, value in given.items() if name.title() not in own}
    return encoded_headers({"Accept": "*/*", **kept, **own})


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn what goes wrong on the way into FetchError."""
    what = printable(what)[:200]
    try:
        yield
    except (httpx.LocalProtocolError, UnicodeError) as error:
        # Its text quotes the header that cannot be sent, and that may be a secret.
        raise FetchError(f"{what}: {type(error).__name__}: a header can't be sent") from None
    except httpx.RemoteProtocolError:
        # Its text quotes what was answered, and that may be an echo of what we sent.
        raise FetchError(f"{what}: RemoteProtocolError: cut off, or no HTTP") from None
    except TimeoutError as error:
        raise FetchError(f"{what}: no answer in time") from error
    except UnreadableBody as error:
        raise FetchError(f"{what}: {error}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        said = printable(f"{what}: {type(error).__name__}: {error}")[:300]
        raise FetchError(said + _remedy(error)) from error


def _remedy(error: BaseException | None) -> str:
    """What to do about an error, where that is known; httpx wraps the one that tells."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            has_none = error.verify_code in _NO_ISSUER
            return " (ssl_verify_upstream_trusted_ca names a CA's file)" if has_none else ""
        error = error.__cause__ or error.__context__
    return ""
