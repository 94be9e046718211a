"""Which way a layer takes to a client: the fastest of those that are known to work, else through.

A registry is asked once, by the very way that a client would go, before any client is
sent there. A client that comes back for the same layer could not go that way: it gets
the layer through the proxy, and after some returns its next ones by another way.
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
# So many layers have to come back before a client is sent there no more: one or two may be
# those of another pull of the same image.
_RETURNS = 3
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
class Part:
    """What is asked for of a layer: its digest, and the Range header or empty."""

    digest: str
    range: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A way that could be taken.

    `ask` tells whether it is open, or None where this client's question could not show it;
    `is_in_use` whether clients are seen to be served that way right now.
    """

    way: Way
    ask: Callable[[], Awaitable[bool | None]]
    is_in_use: Callable[[], bool]


_Try = tuple[Client, Endpoint, Way]
_Asked = tuple[Endpoint, Way]


class Bypass:
    """Chooses the way of each layer; knows what worked. `timer` gives seconds that only grow."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._open: TTLCache[_Asked, bool] = TTLCache(_ENTRIES, _OPEN_SECONDS, timer)
        self._asking: dict[_Asked, asyncio.Future[bool | None]] = {}
        self._sent: TTLCache[tuple[Client, Endpoint, Part], Way] = TTLCache(
            _ENTRIES, _BACK_SECONDS, timer
        )
        self._returned: TTLCache[_Try, frozenset[str]] = TTLCache(_ENTRIES, _BACK_SECONDS, timer)
        self._refused: TTLCache[_Try, bool] = TTLCache(_ENTRIES, _REFUSED_SECONDS, timer)

    async def choose(
        self, client: Client, registry: Endpoint, part: Part, offers: Sequence[Offer]
    ) -> Way:
        """The first of the offered ways that is open to a client; THROUGH or BACK if none."""
        came_from = self._sent.pop((client, registry, part), None)
        # Seen to work: then this is another pull of the same image.
        if came_from and not any(o.way is came_from and o.is_in_use() for o in offers):
            self._note_return((client, registry, came_from), part.digest)
            return Way.BACK
        for offer in offers:
            refused = (client, registry, offer.way) in self._refused
            if not refused and await self._is_open(registry, offer):
                self._sent[(client, registry, part)] = offer.way
                return offer.way
        return Way.THROUGH

    def _note_return(self, tried: _Try, digest: str) -> None:
        returned = self._returned.get(tried, frozenset[str]()) | {digest}
        self._returned[tried] = returned
        if len(returned) >= _RETURNS:
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

    def _note_answer(self, key: _Asked, done: "asyncio.Future[bool | None]") -> None:
        self._asking.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        answer = done.result()
        if answer is not None:
            self._open[key] = answer
