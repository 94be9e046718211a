"""Fields after a body in chunks (RFC 9110 6.5): mitmproxy knows none, and fails over them.

It logs sixty lines for each, which who has no login may send as often as he likes; and the
other side waits for an end that does not come.
"""

from typing import Any

import h11

from metahub_addon.mitmproxy_wrap import unwrap, wrap

_PLACE = "mitmproxy.proxy.layers.http._http1:ChunkedReader"


def refuse_trailers() -> bool:
    """Make them an error of the protocol; False if this mitmproxy can't be told."""
    return wrap(_PLACE, _without_trailers)


def allow_trailers() -> None:
    """Leave it to mitmproxy again."""
    unwrap(_PLACE)


def _without_trailers(original: Any) -> Any:
    class ChunkedReader(original):  # type: ignore[misc]
        def __call__(self, buffer: Any) -> Any:
            read = super().__call__(buffer)
            if isinstance(read, h11.EndOfMessage) and read.headers:
                raise h11.RemoteProtocolError("there are trailers")
            return read

    return ChunkedReader
