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

from support.lean_client import RUNTIME, Connection, Place

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
        tls = ssl.create_default_context(cafile=str(trusted))
        self._place = Place(address=host, port=443, host=host, tls=tls)
        self._load = load
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
            await self._head(kept, self._first)
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
            await self._head(connection, path)
            self._seconds.append(time.perf_counter() - began)
            if kept is None:
                connection.close()
        if kept is not None:
            kept.close()

    async def _open(self) -> Connection:
        return await Connection.open(self._place)

    async def _head(self, connection: Connection, path: str) -> None:
        answer = await asyncio.wait_for(connection.ask("HEAD", path, RUNTIME), _SECONDS)
        if answer.status != 200:
            said = answer.head[:300].decode(errors="replace")
            raise RuntimeError(f"{self._place.host}{path}: {said}")
