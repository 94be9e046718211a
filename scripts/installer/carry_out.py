"""Carries steps out, each recorded before it is done; a failure takes all of them back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from installer.entry import Entry, States
from installer.journal import Journal
from installer.layout import FIREWALL, SERVICE, UNITS
from installer.problem import Problem
from installer.states import remove
from installer.steps import Control, Hint, Put, Step, Undo, is_route
from installer.undo import undo

SETTLE = 1.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Done:
    """An entry that a run has changed: what its paths held, and how it was known before."""

    entry: Entry
    previous: States
    known: Entry | None


@dataclass
class Run:
    """One installation: what it has done so far, so that it can be taken back."""

    journal: Journal
    say: Say
    done: list[Done] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    controlled: set[str] = field(default_factory=set)
    # From here on what is wanted works: a failure leaves it.
    committed: bool = False

    def carry_out(self, steps: Sequence[Step]) -> None:
        """Do all; raises Problem after the node has been put back."""
        try:
            for step in steps:
                self.say(str(step))
                self._do(step)
            self.journal.drop_folders()
        except (Problem, OSError, KeyboardInterrupt) as error:
            said = str(error) or "interrupted"
            if self.committed:
                raise Problem(f"metahub is installed, but: {said}; run this again") from error
            self._take_back_after(said)
            raise Problem(f"{said}; all is as it was") from error

    def _do(self, step: Step) -> None:
        match step:
            case Put():
                self._put(step)
            case Undo(entry):
                self._undo(entry)
            case Control():
                self._note(step.due)
                self._control(step)
            case Hint():
                self._note(step.due)

    def _put(self, step: Put) -> None:
        item, journal = step.item, self.journal
        known = journal.get(item.key)
        previous = journal.back_up(item.touched)
        if step.keep:
            self.saved += [journal.keep_beside(path) for path in item.touched]
        entry = known or Entry(item.key, item.kind, previous)
        entry = replace(entry, kind=item.kind, after=None, added=getattr(item, "added", ""))
        self.done.append(Done(entry, previous, known))
        if known and item.kind == "trust":
            # What others have put into the store since the last time is not ours to take away.
            # The CA is out of it for a moment: as it was before, but for a run that was killed.
            undo(journal, known)
            entry = replace(entry, before=journal.back_up(item.touched))
        journal.put(entry)
        for path in item.touched or (item.key,):
            journal.make_folders(path)
        item.apply(journal.node)
        journal.put(replace(entry, after=journal.look(item.touched)))

    def _undo(self, entry: Entry) -> None:
        self.committed |= not is_route(entry.key)
        previous = self.journal.back_up(entry.paths)
        self.done.append(Done(entry, previous, entry))
        for word in undo(self.journal, entry):
            self.say(word)
        self.journal.drop(entry)

    def _note(self, runtime: str) -> None:
        """A restart that does not come about now is due later."""
        if runtime:
            self.journal.notes[runtime] = time.time()
            self.journal.save()

    def _control(self, step: Control) -> None:
        node = self.journal.node
        self.controlled.add(step.unit)
        try:
            node.must("systemctl", *filter(None, (step.verb, step.unit)))
            if step.unit == SERVICE:
                # Up is not enough: one that ends at once is started again for ever. And whom
                # one that stops has just sent past itself still needs its table.
                time.sleep(SETTLE)
                if step.verb != "stop":
                    node.must("systemctl", "is-active", SERVICE)
        except Problem as problem:
            if step.unit not in (SERVICE, FIREWALL):
                raise
            log = node.run("journalctl", "-u", step.unit, "-n", "2", "-o", "cat", "--no-pager")
            lines = [line.strip() for line in log.output.splitlines() if line.strip()]
            raise Problem(" / ".join([str(problem), *lines])) from problem

    def _take_back_after(self, said: str) -> None:
        self.say(f"taking everything back: {said}")
        try:
            self._take_back()
        except (Problem, OSError) as error:
            raise Problem(f"{said}; taking it back failed: {error}; run uninstall") from error

    def _take_back(self) -> None:
        """Put back what this run has changed, the last first."""
        journal, units = self.journal, str(UNITS / SERVICE)
        is_first = any(done.entry.key == units and not done.known for done in self.done)
        ours = self.controlled & {SERVICE, FIREWALL}
        if is_first and ours:
            stop(journal)
        for done in reversed(self.done):
            undo(journal, replace(done.entry, after=self._made(done)), done.previous)
            if done.known:
                journal.put(done.known)
            else:
                journal.drop(done.entry)
        for path in self.saved:
            remove(journal.node.path(path))
        journal.drop_folders()
        if self.controlled:
            journal.node.run("systemctl", "daemon-reload")
        if any(is_route(done.entry.key) for done in self.done):
            # What they have read at their start leads to a proxy that is not there.
            for unit in sorted(self.controlled & {"containerd.service", "docker.service"}):
                journal.node.run("systemctl", "restart", unit)
        if ours and not is_first:
            journal.node.run("systemctl", "restart", *sorted(ours))
        if not journal.entries:
            journal.remove()

    def _made(self, done: Done) -> States | None:
        """What this run has left in the store of trust, where others may be at work, too."""
        entry = self.journal.get(done.entry.key)
        if done.entry.kind != "trust" or entry is None or entry is done.known:
            return None
        return entry.after


def stop(journal: Journal) -> None:
    """Stop the proxy, then the firewall: with its table goes whatever might redirect."""
    node = journal.node
    for unit in (SERVICE, FIREWALL):
        if node.path(UNITS / unit).exists():
            node.run("systemctl", "stop", unit)
            node.run("systemctl", "reset-failed", unit)
            # Whom the proxy has just told to fetch a layer past it still needs the table.
            time.sleep(SETTLE)
    if node.run("nft", "list", "table", "inet", "metahub").code == 0:
        node.must("nft", "delete", "table", "inet", "metahub")
