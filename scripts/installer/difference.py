"""How a node differs from what is wanted there, and which files its users have changed."""

import hashlib
from collections.abc import Iterable

from installer.entry import Entry
from installer.items import Item
from installer.journal import Journal
from installer.states import look
from installer.steps import Change


def difference(items: Iterable[Item], journal: Journal) -> Change:
    """What has to be made, and what is there and no longer wanted, the last one first."""
    puts: list[Item] = []
    edited: set[str] = set()
    left: list[str] = []
    wanted: set[str] = set()
    for item in items:
        wanted.add(item.key)
        entry = journal.get(item.key)
        if item.is_done(journal.node) and (entry is None or entry.after is not None):
            continue
        if entry is not None and edited_paths(journal, entry):
            if _is_as_written(item, entry):
                left.append(item.key)
                continue
            edited.add(item.key)
        puts.append(item)
    undos = [entry for entry in reversed(journal.entries) if entry.key not in wanted]
    return Change(tuple(puts), tuple(undos), frozenset(edited), tuple(left))


def edited_paths(journal: Journal, entry: Entry) -> list[str]:
    """The files of an item that someone has changed since it was made."""
    if entry.kind not in ("paths", "made") or entry.after is None:
        return []
    found = []
    for path, after in entry.after.items():
        now = look(journal.node.path(path))
        before = entry.before.get(path)
        is_ours = now.same_content(after) or (before is not None and now.same_content(before))
        if now.kind == "file" and not is_ours:
            found.append(path)
    return found


def _is_as_written(item: Item, entry: Entry) -> bool:
    """True if the item would be written as it was: then the change is all there is."""
    content = getattr(item, "content", None)
    return isinstance(content, bytes) and hashlib.sha256(content).hexdigest() in _contents(entry)


def _contents(entry: Entry) -> set[str]:
    return {state.content for state in (entry.after or {}).values()}
