"""Decisions that were made before: the same index and machine type always give the same."""

from dataclasses import dataclass

from cachetools import LRUCache

from metahub_addon.machine import MachineType
from metahub_addon.selection import Decision

# About 6 MB: a child's verdict takes 1.5 kB, and a node asks again for few indexes.
_CHILDREN = 4_000


@dataclass(frozen=True, slots=True)
class Question:
    """What a decision depends on: the index by repository, digest and type, and what is absent.

    The repository counts since nested indexes are fetched from it.
    """

    repository: tuple[str, ...]
    digest: str
    media_type: str
    absent: frozenset[str]


class Decisions:
    """Those for one machine type at a time, bounded by the children that they judge."""

    def __init__(self, children: int = _CHILDREN) -> None:
        self._machine: MachineType | None = None
        self._made: LRUCache[Question, Decision] = LRUCache(children, getsizeof=_weight)

    def get(self, question: Question, machine: MachineType) -> Decision | None:
        """The decision that was made for the very same machine type; None: none was."""
        return self._made.get(question) if machine is self._machine else None

    def put(self, question: Question, machine: MachineType, decision: Decision) -> None:
        """Keep a decision; a new machine type makes those of the last one void."""
        if machine is not self._machine:
            self._machine = machine
            self._made.clear()
        if _weight(decision) <= self._made.maxsize:
            self._made[question] = decision


def _weight(decision: Decision) -> int:
    return 1 + len(decision.verdicts)
