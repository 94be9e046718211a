"""A port that does nothing but copy layers from registries, several times as fast as mitmproxy.

Clients do not take their credentials to another port, so a layer that needs some cannot
go past the proxy. It comes from here instead: mitmproxy's answer names a ticket on this
port, which stands for one request, with the client's own credentials, and is good once.
Plain HTTP on loopback: the client verifies what it gets by its digest.
"""

import http.client
import logging
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from urllib.parse import urljoin

from cachetools import TTLCache

from metahub_addon.upstream import Registry

logger = logging.getLogger("metahub")

_TICKETS = 4096
_TICKET_SECONDS = 30.0
_COPIES = 64  # at once: promised and under way
_HEADER_SECONDS = 5.0  # for a client to show its ticket
_SECONDS = 60.0  # that a registry or a client may be silent
_BUFFER = 256 * 1024
_SOCKET_BUFFER = 4 * 1024 * 1024
# What a client needs to know of a blob; the rest is between the registry and us.
_PASSED = (
    *("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges"),
    *("Content-Encoding", "Docker-Content-Digest", "ETag", "WWW-Authenticate", "Retry-After"),
)


@dataclass(frozen=True, slots=True)
class Order:
    """One request to a registry; `target` is its path and query."""

    registry: Registry
    target: str
    headers: Mapping[str, bytes] = field(repr=False)


class Relay:
    """The port on loopback. `context_for` gives the TLS context for a registry's name.

    Raises OSError if the port cannot be opened; close it when done.
    """

    def __init__(self, port: int, context_for: Callable[[str], ssl.SSLContext]) -> None:
        self.port = port
        self._context_for = context_for
        self._tickets: TTLCache[str, Order] = TTLCache(_TICKETS, _TICKET_SECONDS)
        self._lock = threading.Lock()
        self._copying = 0
        self._server = _Server(("127.0.0.1", port), self)
        serving = threading.Thread(target=self._server.serve_forever, name="relay", daemon=True)
        serving.start()

    def close(self) -> None:
        """Accept no more; copies that run end by themselves."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def has_room(self) -> bool:
        """False where a further layer had better go through mitmproxy."""
        with self._lock:
            return self._tickets.currsize + self._copying < _COPIES

    def ticket(self, order: Order) -> str:
        """A URL that answers one request as the registry would; good once, for 30 seconds."""
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[name] = order
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def take(self, name: str) -> Order | None:
        """The order that a ticket stands for, once; it counts as a copy until `put_down`."""
        with self._lock:
            order = self._tickets.pop(name, None)
            self._copying += order is not None
            return order

    def put_down(self) -> None:
        """A copy has ended."""
        with self._lock:
            self._copying -= 1

    def copy(self, order: Order, client: "_Handler") -> None:
        """Answer a client with what the registry answers.

        Raises OSError, HTTPException, and ValueError for what cannot be sent.
        """
        registry = order.registry
        with closing(_connection(registry)) as connection:
            if registry.scheme == "https":
                self._secure(connection, registry.sni or registry.host)
            connection.request("GET", order.target, headers=order.headers)
            with connection.getresponse() as answer:
                _pass_on(answer, order, client)

    def _secure(self, connection: http.client.HTTPConnection, name: str) -> None:
        """Connect to the address that the client chose, verified for the name that it used."""
        connection.connect()
        connection.sock = self._context_for(name).wrap_socket(connection.sock, server_hostname=name)


def _connection(registry: Registry) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(registry.host, registry.port, timeout=_SECONDS)


def _pass_on(answer: http.client.HTTPResponse, order: Order, client: "_Handler") -> None:
    client.send_response_only(answer.status)
    for name in _PASSED:
        for value in answer.headers.get_all(name) or ():
            client.send_header(name, value)
    if location := answer.headers.get("Location"):
        # Relative to the registry, not to us.
        here = f"{order.registry.scheme}://{order.registry.authority}{order.target}"
        client.send_header("Location", urljoin(here, location))
    client.send_header("Connection", "close")
    client.end_headers()
    client.begun = True
    buffer = memoryview(bytearray(_BUFFER))
    while count := answer.readinto(buffer):
        client.connection.sendall(buffer[:count])


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    timeout = _HEADER_SECONDS
    begun = False

    def do_GET(self) -> None:
        """Answer a ticket."""
        order = self.server.relay.take(self.path.removeprefix("/"))
        if order is None:
            self.send_error(404)
            return
        try:
            self._answer(order)
        finally:
            self.server.relay.put_down()

    def _answer(self, order: Order) -> None:
        try:
            self.connection.settimeout(_SECONDS)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
            self.server.relay.copy(order, self)
        except (OSError, ValueError, http.client.HTTPException) as error:
            # What has begun ends short, which its length tells the client. A ValueError
            # quotes what can't be sent, and that may be a secret.
            told = "" if isinstance(error, ValueError) else f": {error}"
            logger.warning("a layer was not relayed: %s%s", type(error).__name__, told)
            if not self.begun:
                with suppress(OSError):
                    self.send_error(502)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a ticket is a secret while it is good."""


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1024  # a node that boots asks for many layers at once

    def __init__(self, address: tuple[str, int], relay: Relay) -> None:
        self.relay = relay
        self._connections = threading.BoundedSemaphore(2 * _COPIES)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, but not for any number: the idle are many at no cost."""
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread's work."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that goes away is no fault of ours, nor to be printed."""
