"""The node that is worked on: its root folder, and the few things only root can do."""

import ctypes
import grp
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from installer.problem import Problem

SEARCHED = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    output: str
    errors: str = ""


class Commands(Protocol):
    """Runs programs and gives files away: what a test replaces."""

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Done:
        """Run a command to its end, with these variables on top of ours."""

    def give(self, path: Path, user: str, group: str) -> None:
        """Make a user and a group own a path."""

    def is_root(self) -> bool:
        """True if all of this is allowed."""


def _end_with_parent() -> None:
    """What we start must not go on with its work after a kill -9 of ours."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class RealCommands:
    """This machine's own."""

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Done:
        """Run a command; one that can't be started ends with 127, as in a shell."""
        # What runs us must not reach the programs: our path of modules, least of all.
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        inherited |= {"PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(
                command,
                preexec_fn=_end_with_parent,
                env={**inherited, **environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            return Done(127, "", f"{command[0]}: {error.strerror}")
        return Done(done.returncode, done.stdout, done.stderr)

    def give(self, path: Path, user: str, group: str) -> None:
        """Make a user and a group own a path."""
        ids = pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
        os.chown(path, *ids, follow_symlinks=False)

    def is_root(self) -> bool:
        """True for the superuser."""
        return os.geteuid() == 0


@dataclass(frozen=True, slots=True)
class Node:
    """A root folder (`/`, or a test's) and the commands that work in it."""

    root: Path
    commands: Commands
    # What runs the program that is installed.
    python: str = sys.executable

    def path(self, path: PurePosixPath | str) -> Path:
        """Where a path of the node lies."""
        return self.root / str(path).lstrip("/")

    def read(self, path: PurePosixPath | str) -> str:
        """A text file; empty if there is none. What is not UTF-8 comes back by surrogates."""
        try:
            return self.path(path).read_text(errors="surrogateescape")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return ""
        except PermissionError as error:
            raise Problem(f"{path}: may not be read: run as root") from error

    def which(self, program: str) -> str:
        """The full path of a program of the node; empty if it has none."""
        for folder in SEARCHED:
            path = self.path(f"{folder}/{program}")
            if path.is_file() and os.access(path, os.X_OK):
                return f"{folder}/{program}"
        return ""

    def run(self, *command: str, **environment: str) -> Done:
        """Run a command to its end."""
        return self.commands.run(command, environment)

    def must(self, *command: str, **environment: str) -> str:
        """What a command prints; raises Problem with its last words if it fails."""
        done = self.run(*command, **environment)
        if done.code:
            words = (done.errors.strip() or done.output.strip()).splitlines()[-3:]
            said = " / ".join(line.strip() for line in words) or f"exit code {done.code}"
            raise Problem(f"{' '.join(command)}: {said}")
        return done.output
