"""Taking the node's own CA out of the system's trust, and nothing else.

The store's folders are not the store's alone: servers' certificates, Java's keystore and
others' authorities lie there, and change. Only what we changed and what is still as we left
it comes back; where that is not enough, the store's own command does the rest.
"""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

from installer.distro import DISTROS, Distro
from installer.entry import Entry, States
from installer.journal import Journal
from installer.layout import CA_CERTIFICATE
from installer.node import Node
from installer.states import ABSENT, State, look, walk
from installer.trust_bundle import certificates
from installer.trust_store import update


def undo_trust(journal: Journal, entry: Entry, wanted: States) -> None:
    """Put the store back to `wanted`; what others have done in it since stays."""
    anchor = entry.key.partition(":")[2]
    distro = next(known for known in DISTROS if anchor.startswith(known.anchors))
    own = _own(journal, anchor, wanted[anchor])
    after = entry.after
    ours = [] if after is None else _changed(wanted, after)
    if after is not None and all(_is_ours(journal, path, wanted, after) for path in ours):
        _put_back(journal, ours, wanted, after)
    else:
        journal.backups.restore(journal.node.path(anchor), wanted[anchor])
        _rebuild(journal, distro, anchor, wanted, own, is_broken=after is None)
        _give_times_back(journal, wanted)


def _own(journal: Journal, anchor: str, wanted: State) -> set[bytes]:
    """Our certificates, which must not stay. Broken off before, the anchor may be gone."""
    texts = (journal.node.read(anchor), journal.node.read(CA_CERTIFICATE))
    ours = {certificate for text in texts for certificate in certificates(text)}
    return ours - set(certificates(journal.saved_text(wanted)))


def _changed(wanted: States, after: States) -> list[str]:
    """The paths that we changed, what is in a folder before the folder."""
    paths = sorted({*wanted, *after}, reverse=True)
    return [p for p in paths if not _alike(wanted.get(p, ABSENT), after.get(p, ABSENT))]


def _is_ours(journal: Journal, path: str, wanted: States, after: States) -> bool:
    """True for what is as we left it; a run that was broken off may have put it back already."""
    now = look(journal.node.path(path))
    return any(_alike(now, states.get(path, ABSENT)) for states in (wanted, after))


def _put_back(journal: Journal, ours: list[str], wanted: States, after: States) -> None:
    for path in [path for path in ours if wanted.get(path, ABSENT) == ABSENT]:
        real = journal.node.path(path)
        if after[path].kind != "folder":
            journal.backups.restore(real, ABSENT)
            continue
        with contextlib.suppress(OSError):  # it has got a user's files, or is gone
            real.rmdir()
    for path in [path for path in reversed(ours) if wanted.get(path, ABSENT) != ABSENT]:
        journal.backups.restore(journal.node.path(path), wanted[path])


def _rebuild(
    journal: Journal, distro: Distro, anchor: str, wanted: States, own: set[bytes], is_broken: bool
) -> None:
    """Leave it to the store's command, which may have been at work when a run was killed."""
    node = journal.node
    if wanted[anchor] == ABSENT:
        for link in links_to(node, distro, anchor):
            link.unlink()
    before = list(certificates(journal.saved_text(wanted.get(distro.bundle))))
    kept = [*certificates(node.read(distro.bundle)), *(before if is_broken else ())]
    update(node, distro, [certificate for certificate in kept if certificate not in own])
    if before and set(certificates(node.read(distro.bundle))) == set(before):
        journal.backups.restore(node.path(distro.bundle), wanted[distro.bundle])
    for path, state in wanted.items():
        real = node.path(path)
        # Debian's command does not look whether it was killed between the links by hash.
        is_by_hash = state.kind == "link" and "/" not in state.content
        if is_by_hash and look(real) == ABSENT and os.path.lexists(real.parent / state.content):
            journal.backups.restore(real, state)


def links_to(node: Node, distro: Distro, anchor: str) -> list[Path]:
    """The store's links to our anchor, by others between, which Debian's command may leave."""
    paths = (path for store in distro.stores for path in walk(node.path(store)))
    links = {path: _target(node, path) for path in paths if path.is_symlink()}
    found = [node.path(anchor)]
    for target in found:  # it grows meanwhile
        found += [link for link, leads in links.items() if leads == target and link not in found]
    return found[1:]


def _target(node: Node, link: Path) -> Path:
    target = os.readlink(link)
    return node.path(target) if target.startswith("/") else link.parent / target


def _give_times_back(journal: Journal, wanted: States) -> None:
    """What the command has written again as it was, is as it was."""
    for path, state in wanted.items():
        real = journal.node.path(path)
        now = look(real)
        if now.kind in ("file", "link") and replace(now, mtime_ns=state.mtime_ns) == state:
            os.utime(real, ns=(state.mtime_ns, state.mtime_ns), follow_symlinks=False)


def _alike(one: State, other: State) -> bool:
    """True if both are the same; a folder's time tells only of what is in it."""
    if one.kind == "folder":
        one = replace(one, mtime_ns=other.mtime_ns)
    return one == other
