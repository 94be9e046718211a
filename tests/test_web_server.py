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


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_server, "_MAX_CONNECTIONS", 3)
    async with visiting(FakeHub()) as client:
        port = port_of(client)
        open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        for reader, writer in open_ones:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await read_all(reader) == b""
        writer.close()
        open_ones[0][1].close()
        async with asyncio.timeout(20):
            while not await answers(port):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for _, one in open_ones:
            one.close()


async def answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return (await reader.readline()).startswith(b"HTTP/1.1 200")
    except ConnectionError:
        return False
    finally:
        writer.close()
