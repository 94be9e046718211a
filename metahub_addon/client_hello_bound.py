"""How long a TLS ClientHello may be: mitmproxy waits for up to 16 MiB of it.

With each piece that comes it reads the whole from the start again, record by record, so that
two megabytes in records of one byte stop the event loop for a quarter of a minute.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from mitmproxy.proxy import layer

from metahub_addon.mitmproxy_wrap import unwrap, wrap

if TYPE_CHECKING:
    from mitmproxy.proxy.layers.tls import ClientTLSLayer

    Receive = Callable[[ClientTLSLayer, bytes], layer.CommandGenerator[tuple[bool, str | None]]]

# Real ones have 300 bytes to 2 KiB (with keys that a quantum computer can't break).
MAX_CLIENT_HELLO = 16 * 1024
# Real ones stand in one record, or in two or three; one record may hold 16 KiB (RFC 8446 5.1).
MAX_RECORDS = 64
_HEADER = 5
# mitmproxy's errors repeat in hexadecimal digits all that has come.
_MAX_ERROR = 200
_PLACE = "mitmproxy.proxy.layers.tls:ClientTLSLayer.receive_handshake_data"


def bound_client_hello() -> bool:
    """Close connections whose ClientHello is longer; False if this mitmproxy can't be told."""
    return wrap(_PLACE, _bounded)


def unbound_client_hello() -> None:
    """Leave it to mitmproxy again."""
    unwrap(_PLACE)


def _bounded(original: "Receive") -> "Receive":
    def receive_handshake_data(
        tls: "ClientTLSLayer", data: bytes
    ) -> layer.CommandGenerator[tuple[bool, str | None]]:
        error: str | None
        is_awaited = not tls.client_hello_parsed
        if is_awaited and _is_too_long(bytes(tls.recv_buffer) + data, tls.is_dtls):
            tls.recv_buffer.clear()
            done, error = False, "Cannot parse ClientHello: it is too long"
        else:
            done, error = yield from original(tls, data)
        if error and tls.tls is None:
            # What has come meanwhile mitmproxy would give to TLS, which has not begun.
            tls.receive_data = _ignore
        return done, error and error[:_MAX_ERROR]

    return receive_handshake_data


def _ignore(data: bytes) -> layer.CommandGenerator[None]:
    yield from ()


def _is_too_long(received: bytes, is_datagram: bool) -> bool:
    if len(received) > MAX_CLIENT_HELLO:
        return True
    if is_datagram:
        return False
    start = 0
    for _ in range(MAX_RECORDS):
        if len(received) < start + _HEADER:
            return False
        start += _HEADER + int.from_bytes(received[start + 3 : start + _HEADER], "big")
    return len(received) > start
