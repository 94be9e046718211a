"""The last decisions, and what was asked for and not there: bounded, in this process only."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cachetools import LRUCache

from metahub_addon.selection import Decision

# A verdict takes about 1.5 kB: logins that name features make a decision of each.
_DECISIONS, _VERDICTS = 200, 10_000
_GAPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A decision: when (UTC), for which account, of which image (as named at the hub)."""

    when: datetime
    account: str
    repository: str
    image: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What a machine type was asked for and did not get: how often, first and last (UTC).

    `wanted` are the machine type's features where nothing fitted; empty: no such image.
    """

    repository: str
    image: str
    machine: str
    wanted: str
    count: int
    first: datetime
    last: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class Recent:
    """What happened lately; the oldest is forgotten first."""

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._made: deque[Made] = deque()
        self._verdicts = 0
        self._gaps: LRUCache[tuple[str, str, str], Gap] = LRUCache(_GAPS)

    def note(self, account: str, repository: str, image: str, decision: Decision) -> None:
        """Keep a decision; one without a child is a gap as well."""
        self._made.append(
            Made(
                when=self._now(),
                account=account,
                repository=repository,
                image=image,
                decision=decision,
            )
        )
        self._verdicts += len(decision.verdicts)
        while len(self._made) > _DECISIONS or (self._verdicts > _VERDICTS and len(self._made) > 1):
            self._verdicts -= len(self._made.popleft().decision.verdicts)
        if decision.chosen is None:
            wanted = ", ".join(map(str, decision.machine.features)) or "generic"
            self.miss(repository, image, decision.machine.name, wanted)

    def miss(self, repository: str, image: str, machine: str, wanted: str = "") -> None:
        """Keep that something was asked for and is not there."""
        now = self._now()
        key = image, machine, wanted
        known = self._gaps.get(key)
        self._gaps[key] = (
            replace(known, count=known.count + 1, last=now)
            if known
            else Gap(
                repository=repository,
                image=image,
                machine=machine,
                wanted=wanted,
                count=1,
                first=now,
                last=now,
            )
        )

    @property
    def decisions(self) -> Sequence[Made]:
        """The newest first."""
        return tuple(reversed(self._made))

    @property
    def gaps(self) -> Sequence[Gap]:
        """The last seen first."""
        return sorted(self._gaps.values(), key=lambda gap: gap.last, reverse=True)
