"""With mitmproxy's own layer for TLS; integration/test_hub_connections.py has a whole proxy."""

import ssl
from collections.abc import Iterator, Sequence
from typing import Literal

import pytest
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import tls
from mitmproxy.test import taddons

from metahub_addon.client_hello_bound import (
    MAX_CLIENT_HELLO,
    MAX_RECORDS,
    bound_client_hello,
    unbound_client_hello,
)
from support.flows import ProxyOptions, client_of


@pytest.fixture(autouse=True)
def bound() -> Iterator[None]:
    assert bound_client_hello()
    yield
    unbound_client_hello()


def client_hello() -> bytes:
    """What Python's own client says first."""
    context, out = ssl.create_default_context(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="hub.test").do_handshake()
    return out.read()


def record(body: bytes) -> bytes:
    return b"\x16\x03\x01" + len(body).to_bytes(2, "big") + body


def in_records(body: bytes, size: int) -> bytes:
    return b"".join(record(body[at : at + size]) for at in range(0, len(body), size))


# The head of a ClientHello that says it has 16 MiB, as many as can be said.
ENDLESS = b"\x01\xff\xff\xff"


async def answers(
    parts: Sequence[bytes], protocol: Literal["tcp", "udp"] = "tcp"
) -> tuple[Client, list[commands.Command]]:
    """What mitmproxy does with what a client sends, all of which comes at once."""
    client = client_of()
    client.transport_protocol = protocol
    with taddons.context(ProxyOptions()) as context:
        made = Context(client, context.options)
        tls.ServerTLSLayer(made)
        layer = tls.ClientTLSLayer(made)
        done = [*layer.handle_event(events.Start())]
        for part in parts:
            done += layer.handle_event(events.DataReceived(client, part))
        if done and isinstance(done[-1], tls.TlsFailedClientHook):
            done += layer.handle_event(events.HookCompleted(done[-1], None))
    return client, done


def is_refused(done: list[commands.Command]) -> bool:
    return any(isinstance(command, commands.CloseConnection) for command in done)


@pytest.mark.parametrize("size", [2**14, 100])
@pytest.mark.parametrize("piece", [2**16, 50])
async def test_real_ones(size: int, piece: int) -> None:
    sent = in_records(client_hello()[5:], size)
    client, done = await answers([sent[at : at + piece] for at in range(0, len(sent), piece)])
    assert not is_refused(done)
    assert client.sni == "hub.test"


@pytest.mark.parametrize(
    "parts",
    [
        [in_records(ENDLESS + bytes(350_000), 1)],
        [in_records(ENDLESS + bytes(200), 1)],
        [in_records(ENDLESS, 1), *[record(b"\0")] * (MAX_RECORDS - 3)],
        [record(b"") * (MAX_RECORDS + 1)],
        [in_records(ENDLESS + bytes(2**14), 2**14)],
        [in_records(ENDLESS + bytes(MAX_CLIENT_HELLO - 14), 2**14), b"\x16", b"\x03" * 6],
    ],
)
async def test_those_without_an_end(parts: list[bytes]) -> None:
    client, done = await answers(parts)
    assert is_refused(done)
    assert client.error == "Cannot parse ClientHello: it is too long"


async def test_up_to_the_bound() -> None:
    sent = in_records(ENDLESS + bytes(MAX_CLIENT_HELLO - 9), 2**14)
    assert len(sent) == MAX_CLIENT_HELLO
    assert not is_refused((await answers([sent]))[1])
    whole_records = in_records(ENDLESS + bytes(MAX_RECORDS - 4), 1)
    assert not is_refused((await answers([whole_records]))[1])


async def test_datagrams_are_bounded_by_their_length() -> None:
    head = b"\x16\xfe\xfd" + bytes(8) + (1000).to_bytes(2, "big")
    assert not is_refused((await answers([head + bytes(900)], "udp"))[1])
    assert is_refused((await answers([head + bytes(20_000)], "udp"))[1])


@pytest.mark.parametrize("first", [record(b""), in_records(ENDLESS + bytes(200), 1)])
async def test_what_comes_after_it(first: bytes) -> None:
    """mitmproxy failed over it, with a page of its log."""
    assert is_refused((await answers([first, b"more", b"and more"]))[1])


async def test_an_error_is_short() -> None:
    """It is logged."""
    client, _ = await answers([b"\x16\x03\x01\x00\x00" + bytes(10_000)])
    assert client.error is not None
    assert client.error.startswith("Cannot parse ClientHello")
    assert len(client.error) <= 200
