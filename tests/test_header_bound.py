"""With mitmproxy's own layer for HTTP/1; integration/test_hub.py has a whole proxy."""

from collections.abc import Iterator

import pytest
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.test import taddons

from metahub_addon.header_bound import bound_headers, unbound_headers
from support.flows import ProxyOptions, client_of

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\nX: "


@pytest.fixture(autouse=True)
def bound() -> Iterator[None]:
    assert bound_headers(1000)
    yield
    unbound_headers()


async def answers(*parts: bytes) -> list[type[commands.Command]]:
    """What mitmproxy does with what a client sends, but for waiting for more."""
    with taddons.context(ProxyOptions()) as context:
        client = client_of()
        server = _http1.Http1Server(Context(client, context.options))
        done = [*server.handle_event(events.Start())]
        for part in parts:
            done += server.handle_event(events.DataReceived(client, part))
    return [type(command) for command in done]


async def test_headers_that_end() -> None:
    assert commands.CloseConnection not in await answers(HEAD, b"a" * 900, b"\r\n\r\n")


@pytest.mark.parametrize(
    "parts", [(HEAD + b"a" * 2000,), (HEAD, *[b"a" * 400] * 3), (HEAD, b"a\r\n" * 1000)]
)
async def test_headers_without_an_end(parts: tuple[bytes, ...]) -> None:
    assert (await answers(*parts))[-1] is commands.CloseConnection


async def test_a_body_may_be_as_long_as_it_is() -> None:
    head = b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n"
    assert commands.CloseConnection not in await answers(head, *[b"a" * 1000] * 5)


CHUNKED = b"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        (CHUNKED, *[b"1;" + b"a" * 400] * 3),
        (CHUNKED, b"0\r\n", *[b"X: " + b"a" * 400 + b"\r\n"] * 3),
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"GET / HTTP/1.1\r\n" * 100),
    ],
    ids=["the line of a chunk", "trailers", "a next request before the answer"],
)
async def test_what_else_waits(parts: tuple[bytes, ...]) -> None:
    assert (await answers(*parts))[-1] is commands.CloseConnection


async def test_chunks_may_be_as_long_as_they_are() -> None:
    chunk = b"7d0\r\n" + b"a" * 2000 + b"\r\n"
    done = await answers(CHUNKED, *[chunk] * 5, chunk[:1500], chunk[1500:])
    assert commands.CloseConnection not in done


async def test_a_servers_headers() -> None:
    with taddons.context(ProxyOptions()) as context:
        made = Context(client_of(), context.options)
        server = _http1.Http1Client(made)
        done = [*server.handle_event(events.Start())]
        for _ in range(3):
            done += server.handle_event(events.DataReceived(made.server, b"HTTP/1.1 200 OK" * 40))
    assert type(done[-1]) is commands.CloseConnection
