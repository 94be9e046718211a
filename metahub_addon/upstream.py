"""Fetch manifests by digest: verified, shared among those who wait, cached for ever.

What a digest names never changes. What comes out was either fetched with the caller's
credentials or named by an index that upstream has just shown to this caller: that is
the caller's side of the bargain.
"""

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from cachetools import LRUCache

from metahub_addon.digest import digest_of, is_digest
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.media_types import essence
from metahub_addon.shared_work import SharedWork

# The schemes that a registry may have, and what their URLs need not say.
DEFAULT_PORTS = {"https": 443, "http": 80}
_ENTRY_OVERHEAD = 1024


class FetchError(Exception):
    """A manifest that could not be had; the message says why, without secrets.

    `status` is the registry's HTTP status where it gave one other than 200, else 0.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """Where a client's request went: all that decides who answered it.

    `host` and `port` are the address connected to, `authority` the Host header, `sni`
    the name that TLS was verified for, `via` an upstream proxy's URL or empty.
    """

    scheme: str
    host: str
    port: int
    authority: str
    sni: str = ""
    verified: bool = False
    via: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """The key of a registry in the cache.

        Where TLS vouches for the name, the address does not count (a registry has
        many); where nothing does, it must: a Host header alone proves nothing.
        """
        if self.scheme == "https" and self.verified and self.sni:
            return self.scheme, self.sni, str(self.port), self.authority
        return self.scheme, self.host, str(self.port), self.authority, self.sni


def registry_at(scheme: str, host: str, port: int, verified: bool = True) -> Registry:
    """The registry that a URL without a path names, as itself: no other Host, no other SNI.

    `verified` is True if its certificate is, where it has one.
    """
    bare = f"[{host}]" if ":" in host else host
    tls = scheme == "https"
    return Registry(
        scheme=scheme,
        host=host,
        port=port,
        authority=bare if port == DEFAULT_PORTS[scheme] else f"{bare}:{port}",
        sni=host if tls else "",
        verified=verified and tls,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository of a registry, and what the client showed to read it.

    `namespace` is containerd's `?ns=`. The credentials are no part of comparisons or
    of the representation, and never of a cache key in the clear.
    """

    registry: Registry
    name: str
    namespace: str = ""
    authorization: str = field(default="", repr=False, compare=False)
    user_agent: str = field(default="", repr=False, compare=False)

    @property
    def identity(self) -> tuple[str, ...]:
        """The key of a repository in the cache."""
        return *self.registry.identity, self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Document:
    """The verified bytes that a digest names, as they were served."""

    digest: str
    media_type: str
    body: bytes


class Fetcher(Protocol):
    """The one way out: GET a manifest by digest."""

    async def get(self, repository: Repository, digest: str, accept: str) -> tuple[str, bytes]:
        """The Content-Type and body, at most MAX_MANIFEST_BYTES; raises FetchError."""
        ...


class Upstream:
    """Documents by repository and digest, from the cache or the registry.

    `cache_bytes` bounds what is kept; `seconds` each fetch.
    """

    def __init__(self, fetcher: Fetcher, cache_bytes: int, seconds: float) -> None:
        self._fetcher = fetcher
        self._seconds = seconds
        self._cache: LRUCache[tuple[str, ...], Document] = LRUCache(cache_bytes, getsizeof=_weight)
        self._running = SharedWork[Document]()

    def put(self, repository: Repository, document: Document) -> None:
        """Keep a document that the caller has verified."""
        if _weight(document) <= self._cache.maxsize:
            self._cache[(*repository.identity, document.digest)] = document

    def known(self, repository: Repository, digest: str) -> Document | None:
        """A document that is at hand; whether the caller may have it is the caller's to know."""
        return self._cache.get((*repository.identity, digest))

    async def fetch(
        self, repository: Repository, digest: str, accept: str, size: int | None = None
    ) -> Document:
        """The document that a digest names, of a media type and, if given, a size in bytes.

        Raises FetchError. Callers with the same credentials share one fetch; one that
        gives up does not take it from the others.
        """
        key = (*repository.identity, digest)
        document = self._cache.get(key)
        if document is None:
            document = await self._shared(key, repository, digest, accept)
        if document.media_type not in accept.split(", "):
            raise FetchError(f"{digest} is a {document.media_type!r}, expected {accept}")
        if size is not None and len(document.body) != size:
            raise FetchError(f"{digest} has {len(document.body)} bytes, the index says {size}")
        return document

    async def _shared(
        self, key: tuple[str, ...], repository: Repository, digest: str, accept: str
    ) -> Document:
        credentials = repository.authorization.encode("utf-8", "surrogateescape")
        secret = hashlib.sha256(credentials).hexdigest()
        shared = (*key, secret, accept)
        return await self._running.do(shared, lambda: self._fetch(key, repository, digest, accept))

    async def _fetch(
        self, key: tuple[str, ...], repository: Repository, digest: str, accept: str
    ) -> Document:
        if not is_digest(digest):
            raise FetchError("not a digest")
        try:
            async with asyncio.timeout(self._seconds):
                content_type, body = await self._fetcher.get(repository, digest, accept)
        except TimeoutError as error:
            raise FetchError(f"{digest}: no answer within {self._seconds:g} s") from error
        if len(body) > MAX_MANIFEST_BYTES:
            raise FetchError(f"{digest} has more than {MAX_MANIFEST_BYTES} bytes")
        if digest_of(body, like=digest) != digest:
            raise FetchError(f"{digest} was answered with other content")
        document = Document(digest, essence(content_type), body)
        if _weight(document) <= self._cache.maxsize:
            self._cache[key] = document
        return document


def _weight(document: Document) -> int:
    return len(document.body) + _ENTRY_OVERHEAD
