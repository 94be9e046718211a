"""The server's bounds, over bare sockets."""

import asyncio

import pytest

from metahub_addon import web_server
from page.client import WebClient, basic, visiting
from page.fake_hub import FakeHub


def port_of(client: WebClient) -> int:
    port = client.base_url.port
    assert port
    return port


async def read_all(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server closes; a reset ends it, too."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_large_bodies_are_not_read() -> None:
    async with visiting(FakeHub()) as client:
        headers = {"Content-Type": "application/json", **basic()}
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
        lines = [f"{key}: {value}" for key, value in headers.items()]
        head = "\r\n".join(["PUT /api/machine-types/x HTTP/1.1", "Host: x", *lines])
        writer.write(f"{head}\r\nContent-Length: 10000000\r\n\r\n".encode())
        answer = await read_all(reader)
        writer.close()
        assert b" 200 " not in answer
        assert b" 201 " not in answer
        assert (await client.get("/healthz")).status_code == 200


async def test_large_headers_are_not_read() -> None:
    async with visiting(FakeHub()) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n")
        assert b"200" not in await read_all(reader)
        writer.close()


async def test_garbage() -> None:
    async with visiting(FakeHub()) as client:
        for garbage in (
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"GET\r\n\r\n",
            b"\x00" * 99 + b"\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(client))
            writer.write(garbage)
            writer.write_eof()
            assert b"200" not in await read_all(reader)
            writer.close()
        assert (await client.get("/healthz")).status_code == 200


Opened = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def test_silent_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those that say nothing, nor those that stop in the middle."""
    monkeypatch.setattr(web_server, "_MAX_CONNECTIONS", 8)
    beginnings = (b"", b"GET /", b"PUT /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
    async with visiting(FakeHub()) as client:
        port = port_of(client)
        silent: list[Opened] = []
        for number in range(24):
            silent.append(await asyncio.open_connection("127.0.0.1", port))
            silent[-1][1].write(beginnings[number % 3])
        assert [await answers(port) for _ in range(3)] == [True] * 3
        for reader, _ in silent[:16]:
            assert await asyncio.wait_for(read_all(reader), 10) == b""
        for _, writer in silent:
            writer.close()


async def test_what_is_answered_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_MAX_CONNECTIONS", 2)
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(self: FakeHub) -> str:
        asked.set()
        await go_on.wait()
        return ""

    monkeypatch.setattr(FakeHub, "is_ready", slow)
    async with visiting(FakeHub()) as client:
        asking = asyncio.create_task(client.get("/readyz"))
        await asked.wait()
        for _ in range(4):
            assert await answers(port_of(client))
        go_on.set()
        assert (await asking).text == "ready\n"


async def test_who_says_nothing_at_first_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(web_server, "_FIRST_SECONDS", 0.2)
    async with visiting(FakeHub()) as client:
        port = port_of(client)
        silent, kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        kept[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await kept[0].readline()).startswith(b"HTTP/1.1 200")
        silent[1].write(b"GET /healthz HTTP/1.1\r\nHost:")
        assert await asyncio.wait_for(read_all(silent[0]), 10) == b""
        # Who has asked once may be quiet for longer.
        await kept[0].readuntil(b"ok\n")
        kept[1].write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await kept[0].readline()).startswith(b"HTTP/1.1 200")
        for _, writer in (silent, kept):
            writer.close()


async def answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False
    finally:
        writer.close()
