"""The record on disk of what was on the node before: written first, so undone even after kill -9.

An entry is written before its item is applied, with what the item's paths held; once that
is done it holds what they hold then, which tells later whether someone else changed them.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from installer.entry import Entry, States, from_plain, to_plain
from installer.layout import STATE
from installer.node import Node
from installer.problem import Problem
from installer.states import ABSENT, SAVED, Backups, State, look, remove, walk, write_whole

_VERSION = 1


@dataclass
class Journal:
    """The entries in the order in which they came, and the folders made for them."""

    node: Node
    entries: list[Entry] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    # What else the next run must know, such as when the trust was put in place.
    notes: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.node.path(STATE)

    @property
    def backups(self) -> Backups:
        """What was saved."""
        return Backups(self.folder / "backup")

    @property
    def exists(self) -> bool:
        """True if something is, or was half, installed."""
        return self.folder.is_dir()

    def get(self, key: str) -> Entry | None:
        """An item's entry."""
        return next((entry for entry in self.entries if entry.key == key), None)

    def put(self, entry: Entry) -> None:
        """Add an entry, or replace the one of its item; on disk when this returns."""
        known = [other.key for other in self.entries]
        if entry.key in known:
            self.entries[known.index(entry.key)] = entry
        else:
            self.entries.append(entry)
        self.save()

    def drop(self, entry: Entry) -> None:
        """Forget what was undone; on disk when this returns."""
        self.entries = [other for other in self.entries if other.key != entry.key]
        self.save()

    def make_folders(self, path: PurePosixPath | str) -> None:
        """Make the folders that a path needs, each recorded before it is made."""
        missing = [at for at in PurePosixPath(path).parents if not self.node.path(at).is_dir()]
        for folder in reversed(missing):
            if str(folder) not in self.folders:
                self.folders.append(str(folder))
                self.save()
            self.node.path(folder).mkdir(0o755)

    def drop_folders(self) -> None:
        """Remove the folders that were made and that nothing is left in."""
        known = list(self.folders)
        for folder in reversed(known):
            try:
                self.node.path(folder).rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                continue  # something is in it: a user's, or an item's that stays
            self.folders.remove(folder)
        if self.folders != known:
            self.save()

    def save(self) -> None:
        """Write it, in one step."""
        self.backups.folder.mkdir(0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        document = {
            "version": _VERSION,
            "entries": [to_plain(entry) for entry in self.entries],
            "folders": self.folders,
            "notes": self.notes,
        }
        text = json.dumps(document)
        write_whole(self.folder / "journal.json", text.encode(), 0o600)

    def remove(self) -> None:
        """Remove it with all backups: the last act of an uninstallation."""
        # The folder itself last: while it is there, another run can end this.
        if self.exists:
            for path in list(self.folder.iterdir()):
                remove(path)
            self.folder.rmdir()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other runs out; raises Problem if one is at work."""
        # A folder that is there anyway: a lock of our own would be a trace.
        descriptor = os.open(self.folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise Problem("another install or uninstall is at work on this node") from error
        finally:
            os.close(descriptor)

    def look(self, paths: tuple[str, ...], trees: bool = True) -> States:
        """What is at paths now; of folders, what is in them."""
        return {
            self._name(inner): look(inner)
            for path in paths
            for inner in (walk(self.node.path(path)) if trees else (self.node.path(path),))
        }

    def back_up(self, paths: tuple[str, ...]) -> States:
        """The same, with the contents saved."""
        return {
            self._name(inner): self.backups.save(inner)
            for path in paths
            for inner in walk(self.node.path(path))
        }

    def saved_text(self, state: State | None) -> str:
        """What a file held when it was in a state; empty if it was none."""
        if state is None or state.kind != "file":
            return ""
        return (self.backups.folder / state.content).read_text(errors="surrogateescape")

    def restore(self, wanted: States, present: States) -> None:
        """Bring paths back; what is there now and was not before goes."""
        gone = [path for path in present if path not in wanted]
        for path in reversed(gone):
            self.backups.restore(self.node.path(path), ABSENT)
        for path, state in wanted.items():
            self.backups.restore(self.node.path(path), state)

    def keep_beside(self, path: str) -> str:
        """Copy a file beside itself under a name that nothing reads; that name."""
        real = self.node.path(path)
        name, count = path + SAVED, 1
        while self.node.path(name).exists():
            count += 1
            name = f"{path}{SAVED}.{count}"
        write_whole(self.node.path(name), real.read_bytes(), real.stat().st_mode & 0o7777)
        return name

    def _name(self, path: Path) -> str:
        return "/" + path.relative_to(self.node.root).as_posix()


def load_journal(node: Node) -> Journal:
    """The node's journal, empty if it has none; raises Problem if it can't be read."""
    journal = Journal(node)
    file = journal.folder / "journal.json"
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        return journal
    except PermissionError as error:
        raise Problem(f"{file}: may not be read: run as root") from error
    except ValueError as error:
        raise Problem(f"{file}: is damaged: {error}") from error
    if document.get("version") != _VERSION:
        raise Problem(f"{file}: is of another version of metahub, which must uninstall it first")
    journal.entries = [from_plain(item) for item in document["entries"]]
    journal.folders, journal.notes = document["folders"], document["notes"]
    return journal
