"""Answers that are small on the way and large when they are decoded."""

import gzip
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

from support.embedded_registry import Handler

_UNPACKED = 128 * 1024 * 1024
_BOMB = gzip.compress(bytes(_UNPACKED))


def bomb(handler: Handler) -> None:
    """Answer with what gzip makes 128 MiB of."""
    handler.reply(200, _BOMB, {"Content-Encoding": "gzip", "Content-Type": "x/y"})


def brotli(handler: Handler) -> None:
    """Answer with an encoding that nobody asked for."""
    handler.reply(200, b"\x21", {"Content-Encoding": "br", "Content-Type": "x/y"})


@contextmanager
def little_memory() -> Iterator[None]:
    """Fail if Python holds a quarter of a bomb at any time meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < _UNPACKED / 4
    finally:
        tracemalloc.stop()
