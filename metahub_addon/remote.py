"""Read an index from a registry by its name, for the command line."""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from metahub_addon.bounded_body import UnreadableBody, read_body_now
from metahub_addon.digest import digest_of, is_digest
from metahub_addon.http_fetcher import (
    MAX_REDIRECTS,
    REDIRECTS,
    anonymous,
    redirected,
    same_server,
)
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.media_types import INDEXES, MANIFESTS, essence
from metahub_addon.registry import DOCKER_HUB_HOST
from metahub_addon.upstream import Document, FetchError, Registry, Repository

_REFERENCE = re.compile(
    r"(?:(?P<registry>[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)/)?"
    r"(?P<name>[a-z0-9]+(?:[._/-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>[a-z0-9]+:[a-f0-9]+))?"
)
_LOCAL = re.compile(r"(localhost|127(?:\.[0-9]+){3}|\[::1\])(?::[0-9]+)?")
_CHALLENGE = re.compile(r'([a-zA-Z]+)="([^"]*)"')
# RFC 6750: anything else cannot be sent, and the error would quote it.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_ACCEPT = ", ".join(sorted(INDEXES | MANIFESTS))
_SECONDS = 15.0


class InvalidReference(ValueError):
    """A text that names no image."""


class RemoteError(Exception):
    """An image that could not be read; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name: the registry's host[:port], the repository, and a tag or digest."""

    registry: str
    repository: str
    reference: str

    @property
    def local(self) -> bool:
        """True for a registry on this machine, which docker asks without TLS."""
        return _LOCAL.fullmatch(self.registry) is not None

    def __str__(self) -> str:
        mark = "@" if is_digest(self.reference) else ":"
        return f"{self.registry}/{self.repository}{mark}{self.reference}"


def parse_reference(text: str) -> Reference:
    """Read an image's name as docker does: `ubuntu` is Docker Hub's `library/ubuntu:latest`.

    Raises InvalidReference.
    """
    found = _REFERENCE.fullmatch(text)
    if found is None or (found["digest"] and not is_digest(found["digest"])):
        raise InvalidReference(f"{text!r} is no image's name")
    registry, name = found["registry"], found["name"]
    if registry and not (re.search(r"[.:]", registry) or registry == "localhost"):
        registry, name = None, f"{registry}/{name}"
    if registry in (None, "docker.io", "index.docker.io"):
        registry, name = DOCKER_HUB_HOST, name if "/" in name else f"library/{name}"
    return Reference(registry, name, found["digest"] or found["tag"] or "latest")


class RemoteRegistry:
    """Manifests of one repository, with an anonymous token where the registry wants one.

    `ca` is a file of certificates to trust besides the public ones; raises RemoteError if
    it cannot be loaded.
    """

    def __init__(self, image: Reference, plain_http: bool = False, ca: str | None = None) -> None:
        self._image = image
        self._scheme = "http" if plain_http or image.local else "https"
        try:
            context = httpx.create_ssl_context(verify=True)
            # Python 3.13 wants extensions that many private CAs leave out and runtimes,
            # like mitmproxy, do not ask for: judge a registry as they do.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if ca:
                context.load_verify_locations(ca)
        except OSError as error:
            raise RemoteError(f"{ca}: {error}") from error
        self._client = httpx.Client(verify=context, timeout=_SECONDS)
        self._headers = {"Accept": _ACCEPT, "Accept-Encoding": "identity"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, reference: str) -> Document:
        """The manifest of a tag or digest, verified; raises RemoteError."""
        image = self._image
        path = f"/v2/{image.repository}/manifests/{reference}"
        url = f"{self._scheme}://{image.registry}{path}"
        try:
            status, headers, body = self._request(url, self._headers)
            if status == 401 and "Authorization" not in self._headers:
                self._headers["Authorization"] = self._token(headers.get("WWW-Authenticate", ""))
                status, headers, body = self._request(url, self._headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RemoteError(f"{image}: {type(error).__name__}: {error}") from error
        if status != 200:
            raise RemoteError(f"{image}: the registry answered {status}")
        named = reference if is_digest(reference) else headers.get("Docker-Content-Digest", "")
        digest = digest_of(body, like=named if is_digest(named) else "sha256:")
        if is_digest(named) and digest != named:
            raise RemoteError(f"{image}: {named} was answered with other content")
        return Document(digest, essence(headers.get("Content-Type", "")), body)

    async def ask(
        self, repository: Repository, path: str, accept: str, params: Mapping[str, str]
    ) -> tuple[str, bytes]:
        """The Content-Type and body of a path below the repository; raises FetchError."""
        image = self._image
        url = httpx.URL(f"{self._scheme}://{image.registry}/v2/{repository.name}/{path}")
        headers = httpx.Headers({**self._headers, "Accept": accept})
        try:
            status, answered, body = self._request(url, headers, dict(params))
            for _ in range(MAX_REDIRECTS):
                if status not in REDIRECTS:
                    break
                target = redirected(url, answered.get("Location", ""))
                if not same_server(url, target):
                    headers = anonymous(headers)
                url = target
                status, answered, body = self._request(url, headers)
        except (httpx.HTTPError, httpx.InvalidURL, RemoteError) as error:
            raise FetchError(f"{type(error).__name__}: {error}") from error
        if status != 200:
            raise FetchError(f"the registry answered {status}", status)
        return answered.get("Content-Type", ""), body

    @property
    def repository(self) -> Repository:
        """The repository that is read."""
        image = self._image
        host = httpx.URL(f"{self._scheme}://{image.registry}")
        port = host.port or (443 if self._scheme == "https" else 80)
        registry = Registry(
            scheme=self._scheme, host=host.host, port=port, authority=image.registry
        )
        return Repository(registry=registry, name=image.repository)

    def _request(
        self,
        url: str | httpx.URL,
        headers: Mapping[str, str],
        params: dict[str, str] | None = None,
    ) -> tuple[int, httpx.Headers, bytes]:
        with self._client.stream("GET", url, headers=headers, params=params) as answer:
            try:
                body = read_body_now(answer, MAX_MANIFEST_BYTES)
            except UnreadableBody as error:
                raise RemoteError(f"{self._image}: {error}") from error
            return answer.status_code, answer.headers, body

    def _token(self, challenge: str) -> str:
        """An anonymous token (distribution spec, 'Token Authentication'); raises RemoteError."""
        kind, _, rest = challenge.partition(" ")
        words = dict(_CHALLENGE.findall(rest))
        realm = words.pop("realm", "")
        if kind.lower() != "bearer" or not realm:
            raise RemoteError(f"{self._image}: the registry wants a login")
        if not realm.startswith(f"{self._scheme}://") and not realm.startswith("https://"):
            raise RemoteError(f"{self._image}: the registry wants a token from a place without TLS")
        asked = {key: value for key, value in words.items() if key in ("service", "scope")}
        status, _, body = self._request(realm, {"Accept-Encoding": "identity"}, asked)
        try:
            issued = json.loads(body)
            token = issued.get("token") or issued.get("access_token")
        except (ValueError, AttributeError, RecursionError):
            token = None
        if status != 200 or not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise RemoteError(f"{self._image}: no anonymous token ({status})")
        return f"Bearer {token}"
