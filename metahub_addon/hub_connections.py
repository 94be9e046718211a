"""The connections of a hub's clients in mitmproxy: count them, and close those that must go."""

import asyncio
import logging
from asyncio import StreamWriter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client

from metahub_addon.connection_bound import IDLE_BEATS, ConnectionBound
from metahub_addon.hub_request import is_within
from metahub_addon.open_files import connections_of, raise_file_limit
from metahub_addon.places import place_of

logger = logging.getLogger("metahub")

_BEAT_SECONDS = 1.0
# A second that took longer was the hub's own: whoever has spoken may not be heard yet.
_LATE_SECONDS = 1.5
_BEATS_BETWEEN_WARNINGS = 60


class HubConnections:
    """Bounds clients' connections from `start` on; before that, all calls do nothing."""

    def __init__(self) -> None:
        self._bound = ConnectionBound(0)
        self._beats: asyncio.Task[None] | None = None
        self._dropped = 0
        self._quiet = 0

    def start(self) -> None:
        """Raise the limit of files, and begin to look after silent connections."""
        if self._beats is None:
            self._bound.most = connections_of(raise_file_limit())
            logger.debug("at most %d clients at once", self._bound.most)
            self._beats = asyncio.get_running_loop().create_task(self._beat_for_ever())

    def stop(self) -> None:
        """Leave all as it is."""
        if self._beats is not None:
            self._beats.cancel()
            self._beats = None

    def came(self, client: Client, proxies: Sequence[IPv4Network | IPv6Network]) -> None:
        """A client has connected, or one of the trusted proxies has for any number of them."""
        if self._beats is None:
            return
        if client.transport_protocol != "tcp":
            # mitmproxy listens for HTTP/3 as well. No runtime speaks it with a registry, and
            # there nobody has to show that his address is his own.
            client.error = "a hub is reached by TCP"
            return
        address = client.peername[0]
        dropped = self._bound.came(client.id, place_of(address))
        if dropped is not None:
            self._dropped += 1
        if dropped == client.id:
            client.error = "too many connections"
        elif dropped is not None:
            _close(dropped)
        if is_within(address, proxies):
            self._bound.known(client.id)

    def heard(self, client: Client) -> None:
        """A client has sent a whole ClientHello."""
        self._bound.heard(client.id)

    def asked(self, client: Client) -> None:
        """A client has sent a whole request: it may think about the answer for a while."""
        self._bound.heard(client.id, IDLE_BEATS)

    def known(self, client: Client) -> None:
        """A client has logged in."""
        self._bound.known(client.id)

    def left(self, client: Client) -> None:
        """A client has gone."""
        self._bound.left(client.id)
        if self._beats is not None:
            # Whom mitmproxy ends while something else of his waits, it leaves open.
            _close(client.id)

    @contextmanager
    def held(self, client: Client) -> Iterator[None]:
        """Read no more of what a client sends: mitmproxy keeps it all until a hook is done."""
        transport = _transport_of(client.id)
        if transport is None:
            yield
            return
        transport.pause_reading()
        try:
            yield
        finally:
            if not transport.is_closing():
                transport.resume_reading()

    async def _beat_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            await asyncio.sleep(_BEAT_SECONDS)
            if loop.time() - begun < _LATE_SECONDS:
                self.beat()

    def beat(self) -> None:
        """Close the connections that have been silent for too long."""
        for connection in self._bound.beat():
            _close(connection)
        self._quiet -= 1
        if self._dropped and self._quiet <= 0:
            most = self._bound.most
            logger.warning("all %d connections are taken: %d were dropped", most, self._dropped)
            self._dropped, self._quiet = 0, _BEATS_BETWEEN_WARNINGS


def _close(connection: str) -> None:
    transport = _transport_of(connection)
    if transport is not None:
        # mitmproxy sees it as closed by the client, and closes what else belongs to it.
        transport.abort()


def _transport_of(connection: str) -> asyncio.Transport | None:
    proxyserver = ctx.master.addons.get("proxyserver")
    if not isinstance(proxyserver, Proxyserver):
        return None
    handler = proxyserver.connections.get(connection)
    streams = handler.transports.get(handler.client) if handler else None
    if streams is None or not isinstance(streams.writer, StreamWriter):
        return None
    transport = streams.writer.transport
    return transport if isinstance(transport, asyncio.Transport) else None
