"""Which clients' connections a hub keeps, and which have to go, so that its files suffice.

A connection is a stranger's until somebody has logged in by it. Strangers have to say
something soon. Where all connections are taken, a new one takes the place of a stranger's:
of the one that has been here longest, of the place that has the most of them.

There is no fixed number for a place. Behind one NAT, or one forwarder of a container
runtime, may stand a fleet of thousands, which all are strangers when they come at once; who
connects from one place to keep others out drops but his own connections.
"""

from collections.abc import Iterator

# Seconds that the hub itself is not late count: see hub_connections.
SILENT_BEATS = 15
IDLE_BEATS = 60


class ConnectionBound:
    """At most so many connections; each has a name, and comes from a place."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._now = 0
        self._known: set[str] = set()
        # The place of each stranger; the strangers of each place, the oldest first, with the
        # beat at which they are dropped.
        self._places: dict[str, str] = {}
        self._strangers: dict[str, dict[str, int]] = {}

    def __len__(self) -> int:
        return len(self._known) + len(self._places)

    def came(self, connection: str, place: str) -> str | None:
        """Count a new connection; the one that must be closed for it, if any.

        That is the new one itself where there are no strangers. It is not counted any more.
        """
        dropped = None
        if len(self) >= self.most:
            if not self._strangers:
                return connection
            crowd = max(self._strangers.values(), key=len)
            dropped = next(iter(crowd))
            self.left(dropped)
        self._places[connection] = place
        self._strangers.setdefault(place, {})[connection] = self._now + SILENT_BEATS
        return dropped

    def heard(self, connection: str, beats: int = SILENT_BEATS) -> None:
        """A stranger has said something: it may be silent for so many beats again."""
        place = self._places.get(connection)
        if place is not None:
            self._strangers[place][connection] = self._now + beats

    def known(self, connection: str) -> None:
        """Somebody has logged in by this connection: it is not dropped any more."""
        if connection in self._places:
            self.left(connection)
            self._known.add(connection)

    def left(self, connection: str) -> None:
        """A connection has gone."""
        self._known.discard(connection)
        place = self._places.pop(connection, None)
        if place is not None:
            strangers = self._strangers[place]
            del strangers[connection]
            if not strangers:
                del self._strangers[place]

    def beat(self) -> list[str]:
        """A second has gone by: the strangers that have been silent for too long.

        They are not counted any more.
        """
        self._now += 1
        silent = list(self._silent())
        for connection in silent:
            self.left(connection)
        return silent

    def _silent(self) -> Iterator[str]:
        for strangers in self._strangers.values():
            for connection, end in strangers.items():
                if end <= self._now:
                    yield connection
