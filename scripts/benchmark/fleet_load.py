"""A fleet that pulls, and how long each request and each whole pull took."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from support.fleet import Image, Machine, Pulled, greeted, pull
from support.lean_client import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Each machine pulls so many images; a new connection a pull, as runtimes do.

    `every`: the seconds from one pull of a machine to its next, the machines spread over
    them; 0: all at once, each the next as soon as it has one.
    """

    pulls: int
    every: float = 0.0


@dataclass(frozen=True, slots=True)
class FleetPulled:
    """What was pulled; the seconds of each whole pull, with its connection, and of all."""

    pulls: list[Pulled]
    whole: list[float]
    elapsed: float

    @property
    def rate(self) -> float:
        """Pulls a second."""
        return len(self.pulls) / self.elapsed

    @property
    def heads(self) -> list[float]:
        """The seconds of each HEAD of a tag."""
        return [one.resolved for one in self.pulls if one.resolved is not None]

    @property
    def gets(self) -> list[float]:
        """The seconds of each GET: of a digest, or of a tag by those who send no HEAD."""
        return [one.fetched for one in self.pulls]


def pull_all(
    place: Place, machines: Sequence[Machine], images: Sequence[Image], pace: Pace, login: str = ""
) -> FleetPulled:
    """Pull from a place, each machine in an order of its own; RuntimeError if one fails.

    `login` is an Authorization header instead of the machines' own.
    """
    fleet = _Fleet(place, images, pace, login)
    try:
        return asyncio.run(fleet.run(machines))
    except ExceptionGroup as group:
        raise RuntimeError(f"{place.host}: {group.exceptions[0]!r}") from group


class _Fleet:
    def __init__(self, place: Place, images: Sequence[Image], pace: Pace, login: str) -> None:
        self._place, self._images, self._pace, self._login = place, images, pace, login
        self._pulls: list[Pulled] = []
        self._whole: list[float] = []

    async def run(self, machines: Sequence[Machine]) -> FleetPulled:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for at, machine in enumerate(machines):
                due = began + self._pace.every * at / len(machines)
                group.create_task(self._machine(machine, at, due))
        return FleetPulled(self._pulls, self._whole, time.perf_counter() - began)

    async def _machine(self, machine: Machine, at: int, due: float) -> None:
        images = list(self._images)
        random.Random(at).shuffle(images)
        for image in images[: self._pace.pulls]:
            if self._pace.every:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                due += self._pace.every
            began = time.perf_counter()
            async with greeted(self._place) as connection:
                pulled = await pull(connection, machine, image.path, self._login)
            self._whole.append(time.perf_counter() - began)
            self._pulls.append(pulled)
