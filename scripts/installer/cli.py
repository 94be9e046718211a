"""The commands. Exit codes: 0 fine, 1 the answer is no, 2 wrong use or input."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from installer.carry_out import Run, Say
from installer.desired import Desired, desire
from installer.difference import difference
from installer.facts import Facts, Source
from installer.journal import Journal, load_journal
from installer.node import Node, RealCommands
from installer.options import make_parser, read_wanted
from installer.preflight import check_all, check_machine
from installer.problem import Problem
from installer.removal import removal_lines, uninstall
from installer.steps import Hint, Step, plan
from installer.survey import find_facts, find_source
from installer.trust_store import TrustStore
from installer.wanted import Wanted

CHECKOUT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str], node: Node | None = None, say: Say = print) -> int:
    """`install …` or `uninstall …`; the exit code."""
    command = arguments[0] if arguments else "install"
    node = node or Node(Path("/"), RealCommands())
    try:
        options = make_parser(command).parse_args(arguments[1:])
        with _guarded():
            return (_install if command == "install" else _uninstall)(options, node, say)
    except Problem as problem:
        said = str(problem)
    except KeyboardInterrupt:
        said = "interrupted"
    except OSError as error:
        said = f"{error.filename}: {error.strerror}"
    sys.stderr.write(f"scripts/{command}: {said}\n")
    return 2


@contextmanager
def _guarded() -> Iterator[None]:
    """What we make is readable by the service; a signal is an error, which takes back."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.signal(number, signal.default_int_handler) for number in numbers]
    mask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(mask)
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def _check_allowed(node: Node, dry_run: bool) -> None:
    if not (node.commands.is_root() or dry_run):
        raise Problem("must be run as root (sudo); --dry-run needs not")
    check_machine(node)


def _install(options: argparse.Namespace, node: Node, say: Say) -> int:
    wanted = read_wanted(options)
    _check_allowed(node, options.dry_run)
    if options.dry_run:
        journal = load_journal(node)
        planned = _plan(wanted, node, journal)
        for step in planned.steps:
            say(str(step) if isinstance(step, Hint) else f"would {step}")
    else:
        with Journal(node).lock():
            journal = load_journal(node)
            planned = _plan(wanted, node, journal)
            Run(journal, say).carry_out(planned.steps)
    if all(isinstance(step, Hint) for step in planned.steps):
        say("nothing to change")
    for hint in planned.hints:
        say(f"note: {hint}")
    return 0


@dataclass(frozen=True, slots=True)
class Planned:
    """The steps of an installation, and what else the operator should know."""

    steps: tuple[Step, ...]
    hints: tuple[str, ...]


def _plan(wanted: Wanted, node: Node, journal: Journal) -> Planned:
    parts = {path: entry.added for entry in journal.entries for path in entry.paths}
    facts = find_facts(node, _source(node), parts, journal.notes)
    desired = _desire(wanted, facts, node)
    check_all(node, facts, desired, journal)
    change = difference(desired.items, journal)
    left = tuple(f"{key}: yours, left as it is" for key in change.left)
    return Planned(plan(desired, facts, change), (*left, *desired.hints))


def _source(node: Node) -> Source:
    text = (CHECKOUT / "metahub_addon" / "__init__.py").read_text()
    version = re.search(r'__version__ = "([^"]+)"', text)
    return find_source(CHECKOUT, version[1] if version else "0", node.python)


def _desire(wanted: Wanted, facts: Facts, node: Node) -> Desired:
    is_trusted = TrustStore(facts.distro).is_done(node)
    is_fresh = is_trusted and facts.due.get("docker", 0) <= facts.docker.started
    waits = facts.docker.active and facts.docker_holds != 0 and not is_fresh
    return desire(wanted, facts, waits)


def _uninstall(options: argparse.Namespace, node: Node, say: Say) -> int:
    _check_allowed(node, options.dry_run)
    if not load_journal(node).exists:
        say("metahub is not installed on this node")
        return 1
    if options.dry_run:
        for line in removal_lines(load_journal(node)):
            say(f"would {line}")
        return 0
    with Journal(node).lock():
        uninstall(load_journal(node), say)
    say("metahub is gone; all is as it was")
    return 0
