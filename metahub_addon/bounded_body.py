"""Read an answer's body, of which the server says how long it is and how it is encoded.

httpx decodes before anybody can count: 300 bytes of brotli are gigabytes by then. So the raw
bytes are read here. We ask for `identity`; what is met all the same is gzip (objects that are
stored so, caches that compress for all), and its decoder can be told how much to give at
most. Any other encoding is refused.
"""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx

_GZIP = frozenset({"gzip", "x-gzip"})
_GZIP_WINDOW = zlib.MAX_WBITS + 16


class UnreadableBody(ValueError):
    """A body that is too long, or can't be decoded within bounds; the message says which."""


async def read_body(answer: httpx.Response, limit: int) -> bytes:
    """The decoded body, at most `limit` bytes; raises UnreadableBody, and what httpx does."""
    body = _Body(answer, limit)
    # httpx tells less than it gives: who leaves in the middle has to close it.
    async with aclosing(cast(AsyncGenerator[bytes, None], answer.aiter_raw())) as chunks:
        async for chunk in chunks:
            body.take(chunk)
    return body.whole()


def read_body_now(answer: httpx.Response, limit: int) -> bytes:
    """As `read_body`, for an answer of a client that is not async."""
    body = _Body(answer, limit)
    for chunk in answer.iter_raw():
        body.take(chunk)
    return body.whole()


class _Body:
    """What has come of a body. Never holds more than the limit, raw or decoded, and a chunk."""

    def __init__(self, answer: httpx.Response, limit: int) -> None:
        self._encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        self._limit = limit
        self._taken = 0
        self._body = bytearray()
        self._decoder = zlib.decompressobj(_GZIP_WINDOW)

    def take(self, chunk: bytes) -> None:
        self._taken += len(chunk)
        self._body += self._decoded(chunk)
        if max(self._taken, len(self._body)) > self._limit:
            raise UnreadableBody(f"the answer is larger than {self._limit} bytes")

    def whole(self) -> bytes:
        # The answer to a HEAD has the headers of a body that it has not.
        if self._taken and self._encoding in _GZIP and not self._decoder.eof:
            raise UnreadableBody("the answer's gzip is cut off")
        return bytes(self._body)

    def _decoded(self, chunk: bytes) -> bytes:
        if self._encoding in ("", "identity"):
            return chunk
        if self._encoding not in _GZIP:
            raise UnreadableBody("the answer is encoded, though identity was asked for")
        try:
            # One more than there is room for: so much tells that it is too long.
            found = self._decoder.decompress(chunk, self._limit + 1 - len(self._body))
        except zlib.error:
            raise UnreadableBody("the answer is no gzip, as it says") from None
        if self._decoder.unused_data:
            raise UnreadableBody("the answer's gzip has an end before the answer's")
        return found
