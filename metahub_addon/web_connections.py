"""Which of the open connections has to go when there are too many.

Never the one that comes: connections that say nothing cost a stranger nothing, and would
else keep out the probes by which a cluster judges whether the hub is alive.
"""

import time
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)


@dataclass(slots=True)
class _Open:
    """`since` is when it began what it does: to be answered, or to be waited for."""

    peer: str
    since: float
    is_answered: bool = False


class Connections(Generic[_Key]):
    """The open connections, `most` at a time. `clock` is in seconds and never goes back."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._open: dict[_Key, _Open] = {}

    def add(self, key: _Key, peer: str) -> _Key | None:
        """Note one that comes from a peer's address; the result has to be closed for it.

        Those that are answered go last. Of the others, the peer that has the most gives up
        the one that has waited for the longest.
        """
        gone = self._least() if len(self._open) >= self._most else None
        if gone is not None:
            del self._open[gone]
        self._open[key] = _Open(peer, self._clock())
        return gone

    def note(self, key: _Key, *, is_answered: bool) -> None:
        """Its request is here in full and will be answered, or the next is waited for."""
        if key in self._open:
            self._open[key].is_answered, self._open[key].since = is_answered, self._clock()

    def remove(self, key: _Key) -> None:
        """It is closed; it may have been told to be."""
        self._open.pop(key, None)

    def _least(self) -> _Key:
        counts = Counter(one.peer for one in self._open.values())

        def rank(key: _Key) -> tuple[bool, int, float]:
            one = self._open[key]
            return one.is_answered, -counts[one.peer], one.since

        return min(self._open, key=rank)
