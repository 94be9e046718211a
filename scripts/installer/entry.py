"""One item's entry in the journal: what its paths held before, and once it was made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from installer.states import State

States = Mapping[str, State]


@dataclass(frozen=True, slots=True)
class Entry:
    """An item that is, or may be half, on the node."""

    key: str
    kind: str
    before: States
    # None: not known to be done.
    after: States | None = None
    # What the item put into a file of the user's, to take it out of there again.
    added: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """All paths that it has touched."""
        return tuple(dict.fromkeys((*self.before, *(self.after or {}))))


def to_plain(entry: Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    after = None if entry.after is None else _lists(entry.after)
    plain = {"key": entry.key, "kind": entry.kind, "added": entry.added}
    return {**plain, "before": _lists(entry.before), "after": after}


def _lists(states: States) -> dict[str, list[Any]]:
    return {
        path: [state.kind, state.mode, state.uid, state.gid, state.mtime_ns, state.content]
        for path, state in states.items()
    }


def from_plain(document: dict[str, Any]) -> Entry:
    """The same, back."""
    entry = Entry(**document)
    after = None if entry.after is None else _states(document["after"])
    return replace(entry, before=_states(document["before"]), after=after)


def _states(document: dict[str, list[Any]]) -> dict[str, State]:
    return {path: State(*values) for path, values in document.items()}
