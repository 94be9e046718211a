"""How long a request's headers may be: mitmproxy keeps what comes, without an end.

It reads them before any addon is asked, so that one who has no login could fill the memory.
"""

from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import _http1

_original = _http1.Http1Server.read_headers


def bound_headers(length: int) -> None:
    """Close connections of clients whose headers have more bytes, in this whole process."""

    def read_headers(
        server: _http1.Http1Server, event: events.ConnectionEvent
    ) -> layer.CommandGenerator[None]:
        # What mitmproxy has understood it has taken out of the buffer.
        yield from _original(server, event)
        if server.state == server.read_headers and len(server.buf) > length:
            server.buf = type(server.buf)()
            yield commands.CloseConnection(server.conn)

    _http1.Http1Server.read_headers = read_headers  # type: ignore[assignment, method-assign]


def unbound_headers() -> None:
    """Leave it to mitmproxy again."""
    _http1.Http1Server.read_headers = _original  # type: ignore[method-assign]
