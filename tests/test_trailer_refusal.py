"""With mitmproxy's own layers for HTTP/1, of both sides."""

from collections.abc import Iterator

import pytest
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.test import taddons

from metahub_addon.trailer_refusal import allow_trailers, refuse_trailers
from support.flows import ProxyOptions, client_of

HEAD = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def refused() -> Iterator[None]:
    assert refuse_trailers()
    yield
    allow_trailers()


async def answers(*parts: bytes) -> list[commands.Command]:
    """What mitmproxy does with what a client sends."""
    with taddons.context(ProxyOptions()) as context:
        client = client_of()
        server = _http1.Http1Server(Context(client, context.options))
        done = [*server.handle_event(events.Start())]
        for part in parts:
            done += server.handle_event(events.DataReceived(client, part))
    return done


@pytest.mark.parametrize("parts", [(HEAD + b"1\r\na\r\n0\r\n\r\n",), (HEAD, b"0\r\n", b"\r\n")])
async def test_chunks_without(parts: tuple[bytes, ...]) -> None:
    assert not any(isinstance(one, commands.CloseConnection) for one in await answers(*parts))


@pytest.mark.parametrize(
    "parts", [(HEAD + b"1\r\na\r\n0\r\nX: y\r\n\r\n",), (HEAD, b"0\r\n", b"X: y\r\n", b"\r\n")]
)
async def test_chunks_with(parts: tuple[bytes, ...]) -> None:
    *_, closed, told = await answers(*parts)
    assert isinstance(closed, commands.CloseConnection)
    assert "there are trailers" in repr(told)
