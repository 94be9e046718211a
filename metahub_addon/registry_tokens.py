"""Registries' tokens, kept for as long as they hold, and got once for all who wait."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from secrets import token_bytes

from cachetools import TLRUCache

from metahub_addon.credentials import Credentials
from metahub_addon.shared_work import SharedWork

_MAX_TOKENS = 4096
# A token is got anew that long before its end: it must outlive the request that it goes with.
_MARGIN_SECONDS = 10.0
_MARGIN_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token, and for how many seconds from its arrival it holds."""

    value: str = field(repr=False)
    seconds: float


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What a token was issued for; `credentials` is a keyed hash, of use in this process only."""

    realm: str
    service: str
    scope: str
    credentials: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    value: str = field(repr=False)
    until: float


class TokenCache:
    """Tokens by what they are for. `clock` is in seconds and never goes back."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, max_tokens: int = _MAX_TOKENS
    ) -> None:
        self._clock = clock
        self._secret = token_bytes(32)
        self._kept: TLRUCache[TokenKey, _Kept] = TLRUCache(
            max_tokens, ttu=lambda _key, kept, _now: kept.until, timer=clock
        )
        self._fetches = SharedWork[str]()

    def key(
        self, realm: str, service: str, scope: str, credentials: Credentials | None
    ) -> TokenKey:
        """The key of a token for these credentials; None: for nobody in particular."""
        return TokenKey(realm, service, scope, self._hash(credentials))

    async def get(self, key: TokenKey, fetch: Callable[[], Awaitable[IssuedToken]]) -> str:
        """The token; raises what `fetch` raises.

        All who ask at once share one fetch.
        """
        kept = self._kept.get(key)
        if kept is not None:
            return kept.value
        return await self._fetches.do(key, lambda: self._fetch(key, fetch))

    def drop(self, key: TokenKey, value: str) -> None:
        """Forget a token that was refused, unless there is a newer one by now."""
        kept = self._kept.get(key)
        if kept is not None and kept.value == value:
            self._kept.pop(key, None)

    async def _fetch(self, key: TokenKey, fetch: Callable[[], Awaitable[IssuedToken]]) -> str:
        started = self._clock()
        token = await fetch()
        margin = min(_MARGIN_SECONDS, token.seconds * _MARGIN_SHARE)
        until = started + token.seconds - margin
        if until > self._clock():
            self._kept[key] = _Kept(token.value, until)
        return token.value

    def _hash(self, credentials: Credentials | None) -> str:
        if credentials is None:
            return ""
        parts = (credentials.username, credentials.password, credentials.identity_token)
        digest = hashlib.blake2b(key=self._secret)
        for part in parts:
            encoded = part.encode("utf-8", "surrogateescape")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return digest.hexdigest()
