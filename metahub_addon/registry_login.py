"""What to show a registry: what it is known to want, and the token for it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit

from cachetools import TTLCache

from metahub_addon.challenge import parse_challenges
from metahub_addon.credentials import Credentials
from metahub_addon.registry_tokens import IssuedToken, TokenCache, TokenKey
from metahub_addon.shared_work import SharedWork
from metahub_addon.token_exchange import TokenRequest, basic, read_token, token_requests
from metahub_addon.token_protocol import Wanted, scope_of, wanted_of
from metahub_addon.upstream import FetchError, Registry

# What is known of how registries want to be asked: so many, and for so long.
_MAX = 4096
_SECONDS = 600.0
# Of a token server these are about who asks; any other says nothing of the image.
_ABOUT_THE_LOGIN = frozenset({401, 403, 429})
_UNKNOWN_METHOD = frozenset({404, 405})


class CredentialsSource(Protocol):
    """What the hub logs in with."""

    async def credentials_for(self, registry: Registry) -> Credentials | None:
        """The credentials for a registry; None: none. Raises CredentialsError."""
        ...


class Said(Protocol):
    """A server's answer; the headers' names are in lower case."""

    @property
    def status(self) -> int: ...  # noqa: D102
    @property
    def headers(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def body(self) -> bytes: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes, and what it does there (`pull`, `pull,push`); no name: /v2/."""

    registry: Registry
    name: str = ""
    actions: str = "pull"

    @property
    def key(self) -> tuple[str, ...]:
        """The key of what is known of it."""
        return *self.registry.identity, self.name, self.actions


class RegistryLogin:
    """The Authorization for each place. The two ways to ask raise FetchError.

    `probe` answers /v2/ as anybody gets it, `ask_token` asks a token server. `clock` is in
    seconds and never goes back.
    """

    def __init__(
        self,
        credentials: CredentialsSource,
        probe: Callable[[Registry], Awaitable[Said]],
        ask_token: Callable[[Registry, TokenRequest], Awaitable[Said]],
        clock: Callable[[], float],
    ) -> None:
        self._credentials = credentials
        self._ask_v2 = probe
        self._ask_token = ask_token
        self._tokens = TokenCache(clock)
        self._wanted: TTLCache[tuple[str, ...], Wanted] = TTLCache(_MAX, _SECONDS, clock)
        self._sent: TTLCache[tuple[str, ...], TokenKey] = TTLCache(_MAX, _SECONDS, clock)
        self._probes = SharedWork[Wanted]()

    async def known(self, place: Place) -> str:
        """The Authorization by what is known; empty also where nothing is. Raises FetchError."""
        return await self._header(place, self._known(place))

    async def sure(self, place: Place) -> str:
        """The Authorization, also of a registry that was never asked; raises FetchError."""
        return await self._header(place, self._known(place) or await self._probed(place))

    def learn(self, place: Place, header: str) -> bool:
        """Take up a WWW-Authenticate; True if it is new. Raises FetchError for a bad realm."""
        wanted = wanted_of(parse_challenges(header), place.registry, place.name, place.actions)
        if wanted is None or wanted == self._known(place):
            return False
        self._wanted[place.key] = wanted
        if not self._wanted.get(place.registry.identity, Wanted()).scheme:
            self._wanted[place.registry.identity] = replace(wanted, scope="")
        return True

    def forget(self, place: Place, authorization: str) -> bool:
        """Drop a token that was refused; False if it is none, so that no other can be had."""
        scheme, _, token = authorization.partition(" ")
        if scheme != "Bearer":
            return False
        key = self._sent.get(place.key)
        if key is not None:
            self._tokens.drop(key, token)
        return True

    def _known(self, place: Place) -> Wanted | None:
        own = self._wanted.get(place.key)
        if own is not None:
            return own
        general = self._wanted.get(place.registry.identity)
        return general and _here(general, place)

    async def _probed(self, place: Place) -> Wanted:
        registry = place.registry
        general = await self._probes.do(registry.identity, lambda: self._probe(registry))
        return _here(general, place)

    async def _probe(self, registry: Registry) -> Wanted:
        answer = await self._ask_v2(registry)
        wanted = None
        if answer.status == 401:
            challenges = parse_challenges(answer.headers.get("www-authenticate", ""))
            wanted = wanted_of(challenges, registry, "", "")
        wanted = wanted or Wanted()
        if answer.status in (200, 401):  # others do not say how it wants to be asked
            self._wanted[registry.identity] = wanted
        return wanted

    async def _header(self, place: Place, wanted: Wanted | None) -> str:
        if wanted is None or not wanted.scheme:
            return ""
        credentials = await self._credentials.credentials_for(place.registry)
        if wanted.scheme == "basic":
            return basic(credentials)
        key = self._tokens.key(wanted.realm, wanted.service, wanted.scope, credentials)
        self._sent[place.key] = key
        issue = self._issue
        token = await self._tokens.get(key, lambda: issue(place.registry, wanted, credentials))
        return f"Bearer {token}"

    async def _issue(
        self, registry: Registry, wanted: Wanted, credentials: Credentials | None
    ) -> IssuedToken:
        host = urlsplit(wanted.realm).hostname
        for asked in token_requests(wanted, credentials):
            answer = await self._ask_token(registry, asked)
            if answer.status == 200:
                return read_token(answer.body, answer.headers.get("date", ""))
            if answer.status not in _UNKNOWN_METHOD:
                break
        about = answer.status if answer.status in _ABOUT_THE_LOGIN else 0
        raise FetchError(f"the token server {host} answered {answer.status}", about)


def _here(general: Wanted, place: Place) -> Wanted:
    return replace(general, scope=scope_of(place.name, place.actions))
