"""How much of what is no body mitmproxy may keep: it keeps what comes, without an end.

It does so before any addon is asked, so that one who has no login could fill the memory.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mitmproxy.proxy import commands, events, layer

from metahub_addon.mitmproxy_wrap import unwrap, wrap

if TYPE_CHECKING:
    from mitmproxy.proxy.layers.http._http1 import Http1Connection

    Handle = Callable[[Http1Connection, events.Event], layer.CommandGenerator[None]]

_PLACE = "mitmproxy.proxy.layers.http._http1:Http1Connection._handle_event"


def bound_headers(length: int) -> bool:
    """Close connections, in this whole process, where more bytes wait to be understood.

    These are headers of a request or an answer, the line of a chunk's length, what follows
    the last chunk, and a next request that has come before the answer to this one. A body
    does not wait. False if this mitmproxy can't be told.
    """
    return wrap(_PLACE, lambda original: _bounded(original, length))


def unbound_headers() -> None:
    """Leave it to mitmproxy again."""
    unwrap(_PLACE)


def _bounded(original: "Handle", length: int) -> "Handle":
    def _handle_event(http: "Http1Connection", event: events.Event) -> layer.CommandGenerator[None]:
        # What mitmproxy has understood it has taken out of the buffer.
        yield from original(http, event)
        if len(http.buf) > length:
            http.buf = type(http.buf)()
            yield commands.CloseConnection(http.conn)

    return _handle_event
