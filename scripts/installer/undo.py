"""Bringing an item's paths back to what they were."""

import time

from installer.difference import edited_paths
from installer.edits import without, without_mirror
from installer.entry import Entry, States
from installer.items import named_in
from installer.journal import Journal
from installer.layout import ACCOUNT, DOCKER_CONFIG
from installer.node import Node
from installer.runtimes import find_daemon
from installer.states import remove, write_whole
from installer.trust_undo import undo_trust

_TRIES, _PAUSE = 20, 0.1


def undo(journal: Journal, entry: Entry, target: States | None = None) -> list[str]:
    """Bring back what was before an item (or `target`); what the operator should know.

    Can be done again after it was broken off. The entry stays in the journal.
    """
    wanted = entry.before if target is None else target
    match entry.kind:
        case "tree":
            remove(journal.node.path(entry.key))
            return []
        case "account":
            return _undo_account(journal, wanted)
        case "trust":
            undo_trust(journal, entry, wanted)
            return []
        case _:
            return _undo_paths(journal, entry, wanted)


def _undo_paths(journal: Journal, entry: Entry, wanted: States) -> list[str]:
    if entry.key == str(DOCKER_CONFIG) and entry.added not in journal.saved_text(wanted[entry.key]):
        forget_mirror(journal.node, entry.added)
    said = []
    restored = dict(wanted)
    present = dict(entry.after or {})
    for path in edited_paths(journal, entry):
        real = journal.node.path(path)
        before = wanted.get(path)
        text = real.read_bytes().decode("utf-8", "surrogateescape")
        rest = without(path, text, entry.added) if before and before.kind == "file" else None
        if rest is not None:
            write_whole(real, rest.encode("utf-8", "surrogateescape"), real.stat().st_mode & 0o7777)
            del restored[path], present[path]
            said.append(f"{path}: you have changed it since: only metahub's part is taken out")
            continue
        said.append(f"{path}: you have changed it since: kept as {journal.keep_beside(path)}")
    journal.restore(restored, present)
    return said


def forget_mirror(node: Node, mirror: str) -> None:
    """Let a running dockerd forget a mirror: one that its file no longer names it keeps."""
    path = node.path(DOCKER_CONFIG)
    if not path.is_file() or not find_daemon(node, "docker").active:
        return
    content = path.read_bytes()
    emptied = without_mirror(content.decode("utf-8", "surrogateescape"), mirror, keep=True)
    if emptied is None:
        return
    write_whole(path, emptied.encode("utf-8", "surrogateescape"), path.stat().st_mode & 0o7777)
    try:
        node.must("systemctl", "reload", "docker.service")
        for _ in range(_TRIES):
            if mirror not in node.run("docker", "info").output:
                break
            time.sleep(_PAUSE)
    finally:
        write_whole(path, content, path.stat().st_mode & 0o7777)


def _undo_account(journal: Journal, wanted: States) -> list[str]:
    """Remove user and group; if nobody else was added since, all is as it was to the byte."""
    node = journal.node
    for database, command in (("/etc/passwd", "userdel"), ("/etc/group", "groupdel")):
        was_there = named_in(journal.saved_text(wanted.get(database)))
        if named_in(node.read(database)) and not was_there:
            node.must(command, ACCOUNT)
    mains = [path for path in wanted if not path.endswith("-") and path != "/etc/.pwd.lock"]
    now = journal.look(tuple(mains))
    if all(now[path].same_content(wanted[path]) for path in mains):
        journal.restore(wanted, {})
    return []
