import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.bounded_body import UnreadableBody, read_body, read_body_now

LIMIT = 1000
TEXT = b"manifest " * 50


class Chunks(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body as it comes."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


def answer(chunks: Iterable[bytes], encoding: str | None = None) -> httpx.Response:
    headers = {} if encoding is None else {"Content-Encoding": encoding}
    return httpx.Response(200, headers=headers, stream=Chunks(chunks))


def pieces(body: bytes, size: int = 7) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("encoding", [None, "", "identity", "Identity"])
async def test_a_body_as_it_is(encoding: str | None) -> None:
    assert await read_body(answer(pieces(TEXT), encoding), LIMIT) == TEXT
    assert read_body_now(answer(pieces(TEXT), encoding), LIMIT) == TEXT


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
@pytest.mark.parametrize("size", [1, 7, 5000])
async def test_gzip_is_decoded(encoding: str, size: int) -> None:
    chunks = pieces(gzip.compress(TEXT), size)
    assert await read_body(answer(chunks, encoding), LIMIT) == TEXT
    assert read_body_now(answer(chunks, encoding), LIMIT) == TEXT


@pytest.mark.parametrize("encoding", [None, "gzip", "br"])
async def test_no_body(encoding: str | None) -> None:
    """As of a HEAD."""
    assert await read_body(answer([], encoding), LIMIT) == b""


@pytest.mark.parametrize(
    ("body", "encoding", "message"),
    [
        (bytes(LIMIT + 1), None, "larger than 1000 bytes"),
        (gzip.compress(bytes(LIMIT + 1)), "gzip", "larger than 1000 bytes"),
        (gzip.compress(TEXT)[:-1], "gzip", "cut off"),
        (gzip.compress(TEXT) + b"x", "gzip", "an end before"),
        (zlib.compress(TEXT), "gzip", "no gzip"),
        (zlib.compress(TEXT), "deflate", "though identity was asked for"),
        (b"x", "br", "though identity was asked for"),
        (b"x", "zstd", "though identity was asked for"),
        (gzip.compress(gzip.compress(TEXT)), "gzip, gzip", "though identity was asked for"),
    ],
)
async def test_what_is_not_read(body: bytes, encoding: str | None, message: str) -> None:
    for size in (1, 5000):
        with pytest.raises(UnreadableBody, match=message):
            await read_body(answer(pieces(body, size), encoding), LIMIT)
        with pytest.raises(UnreadableBody, match=message):
            read_body_now(answer(pieces(body, size), encoding), LIMIT)


@given(st.binary(max_size=200), st.integers(1, 50), st.integers(0, 200))
def test_gzip_is_what_identity_is(body: bytes, size: int, limit: int) -> None:
    """But for gzip's own bytes, which count as well."""
    zipped = gzip.compress(body)
    if max(len(body), len(zipped)) <= limit:
        assert read_body_now(answer(pieces(zipped, size), "gzip"), limit) == body
    else:
        with pytest.raises(UnreadableBody, match="larger than"):
            read_body_now(answer(pieces(zipped, size), "gzip"), limit)


def test_a_bomb_stays_small() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableBody, match="larger than"):
            read_body_now(answer([bomb], "gzip"), 65536)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_gzip_without_content_has_an_end() -> None:
    """Empty blocks decode to nothing, as many as there are."""
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    block = b"\0\0\0\xff\xff"

    def endless() -> Iterator[bytes]:
        yield head
        for _ in range(10_000):
            yield block

    with pytest.raises(UnreadableBody, match="larger than"):
        read_body_now(answer(endless(), "gzip"), LIMIT)
