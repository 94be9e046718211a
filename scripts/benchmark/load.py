"""Clients that ask for manifests and note how long each answer took.

As lean as Python allows, because they share the machine with what they measure.
"""

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

AGENT = "docker/20.10.24 go/go1.19"
ACCEPT = (
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
)
_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """So many clients ask for paths, one after the other, until so many were asked for.

    `keep_alive`: each on a connection of its own that stays, and has answered once before
    the clock runs; else with a new one a request, as a runtime does with a pull. `every`: the
    seconds from one request of a client to its next; 0: as fast as answers come.
    """

    clients: int
    requests: int
    keep_alive: bool = True
    every: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """The seconds that each request took, and all of them together; how many were sent.

    More are sent than timed: the first ones on connections that are kept.
    """

    seconds: list[float]
    elapsed: float
    sent: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.elapsed


def ask(host: str, paths: Sequence[str], load: Load, trusted: Path) -> Answered:
    """HEAD paths of a registry in turn, as runtimes resolve tags; RuntimeError if one fails."""
    return asyncio.run(_Asking(host, paths, load, trusted).run())


class _Asking:
    def __init__(self, host: str, paths: Sequence[str], load: Load, trusted: Path) -> None:
        self._host = host
        self._load = load
        self._tls = ssl.create_default_context(cafile=str(trusted))
        self._first = paths[0]
        self._paths = islice(cycle(paths), load.requests)
        self._ready = asyncio.Barrier(load.clients)
        self._began = 0.0
        self._untimed = 0
        self._seconds: list[float] = []

    async def run(self) -> Answered:
        async with asyncio.TaskGroup() as group:
            for at in range(self._load.clients):
                group.create_task(self._client(at))
        elapsed = time.perf_counter() - self._began
        return Answered(self._seconds, elapsed, len(self._seconds) + self._untimed)

    async def _client(self, at: int) -> None:
        kept = await self._open() if self._load.keep_alive else None
        if kept is not None:
            await kept.head(self._first)
            self._untimed += 1
        await self._ready.wait()
        self._began = self._began or time.perf_counter()
        due = self._began + self._load.every * at / self._load.clients  # spread, not in step
        for path in self._paths:
            if self._load.every:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += self._load.every
            began = time.perf_counter()
            connection = kept or await self._open()
            await asyncio.wait_for(connection.head(path), _SECONDS)
            self._seconds.append(time.perf_counter() - began)
            if kept is None:
                connection.close()
        if kept is not None:
            kept.close()

    async def _open(self) -> "_Connection":
        return await _Connection.open(self._host, self._tls)


class _Connection:
    def __init__(
        self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._host, self._reader, self._writer = host, reader, writer

    @classmethod
    async def open(cls, host: str, tls: ssl.SSLContext) -> "_Connection":
        return cls(host, *await asyncio.open_connection(host, 443, ssl=tls))

    async def head(self, path: str) -> None:
        self._writer.write(
            f"HEAD {path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"User-Agent: {AGENT}\r\nAccept: {ACCEPT}\r\n\r\n".encode()
        )
        answer = await self._reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{self._host}{path}: {answer[:300].decode(errors='replace')}")

    def close(self) -> None:
        self._writer.transport.abort()
