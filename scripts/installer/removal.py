"""Takes an installation, whole or half, off the node again."""

import time
from collections.abc import Iterator, Sequence

from installer.carry_out import Say, stop
from installer.entry import Entry
from installer.journal import Journal
from installer.layout import FIREWALL, SERVICE
from installer.runtimes import containers_held, find_daemon
from installer.steps import AT_START, Undo, is_route
from installer.undo import undo


def removal_lines(journal: Journal) -> Iterator[str]:
    """What an uninstallation does, a line each."""
    routes = [entry for entry in journal.entries if is_route(entry.key)]
    yield from (str(Undo(entry)) for entry in reversed(routes))
    yield f"stop {SERVICE} and {FIREWALL}"
    yield from (str(Undo(entry)) for entry in reversed(journal.entries) if entry not in routes)
    yield "daemon-reload"
    yield f"remove {journal.folder}"


def uninstall(journal: Journal, say: Say) -> None:
    """Undo the whole journal, the last first; can be run again after it was broken off.

    What sends runtimes to the proxy goes before the proxy does: no pull fails meanwhile.
    """
    routes = [entry for entry in reversed(journal.entries) if is_route(entry.key)]
    _note(journal, {entry.key for entry in routes})
    _undo_all(journal, routes, say)
    _settle(journal, say)
    say(f"stop {SERVICE} and {FIREWALL}")
    stop(journal)
    _undo_all(journal, list(reversed(journal.entries)), say)
    journal.drop_folders()
    journal.node.must("systemctl", "daemon-reload")
    journal.remove()


def _undo_all(journal: Journal, entries: Sequence[Entry], say: Say) -> None:
    for entry in entries:
        say(str(Undo(entry)))
        for word in undo(journal, entry):
            say(word)
        journal.drop(entry)


def _note(journal: Journal, keys: set[str]) -> None:
    for name, at_start in AT_START.items():
        if keys & at_start:
            journal.notes[f"{name} route"] = time.time()
    journal.save()


def _settle(journal: Journal, say: Say) -> None:
    """Let the runtimes forget the proxy, where that ends no container."""
    node = journal.node
    node.must("systemctl", "daemon-reload")
    for name in AT_START:
        daemon = find_daemon(node, name)
        due = journal.notes.get(f"{name} route", 0)
        has_taken_up = daemon.started >= journal.notes.get(name, 0)
        if not daemon.active or daemon.started >= due or not has_taken_up:
            continue
        if name == "docker" and containers_held(node):
            say(
                "docker is not restarted, which would end its containers: its pulls fail "
                "until `systemctl restart docker`"
            )
            continue
        say(f"restart {name}.service: it forgets the proxy")
        node.must("systemctl", "restart", f"{name}.service")
