"""Which way a layer takes to a client: the fastest of those that are known to work, else through.

A registry is asked once, by the very way that a client would go, before any client is
sent there. A client that comes back for the same layer could not go that way: it gets
the layer through the proxy, and its next ones by another way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from cachetools import TTLCache

from metahub_addon.interception import Endpoint

_ENTRIES = 4096
# How long an answer about a way counts: one more byte is asked for after it.
_OPEN_SECONDS = 300.0
# A client that could not take the redirect asks again at once or after its own pause
# (dockerd: 5 to 20 s); one that pulls the same image anew does so later.
_BACK_SECONDS = 60.0
# From then on silence means that the client went the way: longer than dockerd's first pause.
_PROOF_SECONDS = 10.0
_PROVEN_SECONDS = 24 * 3600.0
_REFUSED_SECONDS = 600.0


class Way(Enum):
    """How a layer reaches the client."""

    PAST = "past"  # the firewall sends it straight to the registry
    RELAY = "relay"  # another port of ours, which does nothing but copy
    THROUGH = "through"  # mitmproxy
    BACK = "back"  # mitmproxy, since the client came back from another way


@dataclass(frozen=True, slots=True)
class Client:
    """A client as far as it can be told from others: its address and its product's name."""

    address: str
    product: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A way that could be taken.

    `ask` tells whether it is open, or None where that was not to be learned this time.
    """

    way: Way
    ask: Callable[[], Awaitable[bool | None]]


_Try = tuple[Client, Endpoint, Way]


class Bypass:
    """Chooses the way of each layer; knows what worked. `timer` gives seconds that only grow."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._open: TTLCache[tuple[Endpoint, Way], bool] = TTLCache(_ENTRIES, _OPEN_SECONDS, timer)
        self._asking: dict[tuple[Endpoint, Way], asyncio.Future[bool | None]] = {}
        self._sent: TTLCache[tuple[Client, Endpoint, str], Way] = TTLCache(
            _ENTRIES, _BACK_SECONDS, timer
        )
        self._first: TTLCache[_Try, float] = TTLCache(_ENTRIES, _PROVEN_SECONDS, timer)
        self._refused: TTLCache[_Try, bool] = TTLCache(_ENTRIES, _REFUSED_SECONDS, timer)

    async def choose(
        self, client: Client, registry: Endpoint, digest: str, offers: Sequence[Offer]
    ) -> Way:
        """The first of the offered ways that is open to a client; THROUGH or BACK if none."""
        came_from = self._sent.pop((client, registry, digest), None)
        if came_from is not None:
            self._note_return((client, registry, came_from))
            return Way.BACK
        for offer in offers:
            tried = (client, registry, offer.way)
            if tried not in self._refused and await self._is_open(registry, offer):
                self._sent[(client, registry, digest)] = offer.way
                self._first.setdefault(tried, self._timer())
                return offer.way
        return Way.THROUGH

    def _note_return(self, tried: _Try) -> None:
        first = self._first.get(tried, self._timer())
        if self._timer() - first < _PROOF_SECONDS:
            # Nothing has proven yet that this client can go the way.
            self._first.pop(tried, None)
            self._refused[tried] = True

    async def _is_open(self, registry: Endpoint, offer: Offer) -> bool:
        key = (registry, offer.way)
        known = self._open.get(key)
        if known is not None:
            return known
        asked = self._asking.get(key)
        if asked is None:
            asked = asyncio.ensure_future(offer.ask())
            self._asking[key] = asked
            asked.add_done_callback(lambda done: self._note_answer(key, done))
        # One client that gives up must not take the answer from the others.
        return bool(await asyncio.shield(asked))

    def _note_answer(self, key: tuple[Endpoint, Way], done: "asyncio.Future[bool | None]") -> None:
        self._asking.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        if answer is not None:
            self._open[key] = answer
