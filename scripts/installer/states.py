"""What a path was: absent, a file, a link, a folder; and bringing it back to that."""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

NEW = ".metahub-new"  # a file that is being written
_TRIES, _PAUSE = 5, 0.3
SAVED = ".metahub-saved"  # what a user made of a file of ours


@dataclass(frozen=True, slots=True)
class State:
    """A path at one moment. `content`: a file's SHA-256, or where a link leads."""

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    content: str = ""

    def same_content(self, other: "State") -> bool:
        """True if both read alike, whoever owns them and whenever they were written."""
        return (self.kind, self.content) == (other.kind, other.content)


ABSENT = State("absent")


def look(path: Path) -> State:
    """The state of a path now."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT
    if stat.S_ISLNK(status.st_mode):
        kind, content = "link", os.readlink(path)
    elif stat.S_ISDIR(status.st_mode):
        kind, content = "folder", ""
    else:
        kind, content = "file", hashlib.sha256(path.read_bytes()).hexdigest()
    mode = stat.S_IMODE(status.st_mode)
    return State(kind, mode, status.st_uid, status.st_gid, status.st_mtime_ns, content)


def walk(path: Path) -> Iterable[Path]:
    """A path and all below it, folders before what they hold; links are not followed."""
    yield path
    if path.is_dir() and not path.is_symlink():
        for inner in sorted(path.iterdir()):
            yield from walk(inner)


def write_whole(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is there as a whole or not at all, and survives a loss of power."""
    new = path.with_name(path.name + NEW)
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def link_whole(path: Path, target: str) -> None:
    """Make a link, or turn it, in one step."""
    new = path.with_name(path.name + NEW)
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    os.replace(new, path)


def remove(path: Path) -> None:
    """Remove whatever is there; a folder with all it holds."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for _ in range(_TRIES - 1):
        # What a killed run has started may still be writing there, for a moment.
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(_PAUSE)
    shutil.rmtree(path)


@dataclass(frozen=True, slots=True)
class Backups:
    """A folder of contents, each named by its SHA-256."""

    folder: Path

    def save(self, path: Path) -> State:
        """Keep what is at a path; its state."""
        state = look(path)
        if state.kind == "file":
            kept = self.folder / state.content
            if not kept.exists():
                self.folder.mkdir(0o700, parents=True, exist_ok=True)
                write_whole(kept, path.read_bytes(), 0o600)
        return state

    def restore(self, path: Path, state: State) -> None:
        """Bring a path back to a state that was saved, its owner, mode and time included."""
        path.with_name(path.name + NEW).unlink(missing_ok=True)
        now = look(path)
        if now == state:
            return
        if now.kind != state.kind or state.kind == "absent":
            remove(path)
        if state.kind == "absent":
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if state.kind == "folder":
            path.mkdir(exist_ok=True)
        elif state.kind == "link":
            link_whole(path, state.content)
        elif not now.same_content(state):
            write_whole(path, (self.folder / state.content).read_bytes(), 0o600)
        self._own(path, state)

    def _own(self, path: Path, state: State) -> None:
        os.chown(path, state.uid, state.gid, follow_symlinks=False)
        if state.kind != "link":
            path.chmod(state.mode)
        if state.kind != "folder":
            times = (state.mtime_ns, state.mtime_ns)
            os.utime(path, ns=times, follow_symlinks=False)
