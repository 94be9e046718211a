"""What an installation leaves on a node: each item knows what it touches and how it is made."""

import os
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import ClassVar, Protocol

from installer.layout import ACCOUNT
from installer.node import Node
from installer.states import link_whole, write_whole

_SHADOW = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/subgid")


class Item(Protocol):
    """One thing that is wanted on the node."""

    # How it is undone: see undo.py.
    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """Its name in the journal."""

    @property
    def touched(self) -> tuple[str, ...]:
        """The paths that it may change; a folder stands for all in it."""

    def is_done(self, node: Node) -> bool:
        """True if the node has it as it is wanted."""

    def apply(self, node: Node) -> None:
        """Make it so; raises Problem or OSError. Its folders are there already."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group that the proxy runs as."""

    nologin: str
    kind: ClassVar[str] = "account"
    key: ClassVar[str] = f"account:{ACCOUNT}"

    @property
    def touched(self) -> tuple[str, ...]:
        """The databases, and what shadow's tools leave beside them."""
        return (*_SHADOW, *(f"{path}-" for path in _SHADOW), "/etc/.pwd.lock")

    def is_done(self, node: Node) -> bool:
        """True if both exist."""
        return named_in(node.read("/etc/group")) and named_in(node.read("/etc/passwd"))

    def apply(self, node: Node) -> None:
        """Add what is missing."""
        if not named_in(node.read("/etc/group")):
            node.must("groupadd", "--system", ACCOUNT)
        if not named_in(node.read("/etc/passwd")):
            names = ("--gid", ACCOUNT, "--home-dir", "/nonexistent", "--shell", self.nologin)
            # lastlog is not one of the files that can be put back.
            quiet = ("--system", "--no-create-home", "--no-log-init")
            node.must("useradd", *quiet, *names, "--comment", "metahub's proxy", ACCOUNT)

    def __str__(self) -> str:
        return f"user and group {ACCOUNT}"


def named_in(database: str) -> bool:
    """True if a user or group of our name is in the text of a database."""
    return bool(entry_of(database))


def entry_of(database: str) -> list[str]:
    """The fields of our user or group in the text of a database; none if it is not there."""
    lines = (line.split(":") for line in database.splitlines())
    return next((fields for fields in lines if fields[0] == ACCOUNT), [])


@dataclass(frozen=True, slots=True)
class File:
    """A file with a content that is known before. `added`: our part of a user's file."""

    path: PurePosixPath
    content: bytes = field(repr=False)
    mode: int = 0o644
    added: str = ""
    kind: ClassVar[str] = "paths"

    @property
    def key(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def touched(self) -> tuple[str, ...]:
        """Its path."""
        return (str(self.path),)

    def is_done(self, node: Node) -> bool:
        """True if it reads so; of a user's file, if our part is in it."""
        path = node.path(self.path)
        if not path.is_file():
            return False
        content = path.read_bytes()
        return content == self.content or bool(self.added and self.added.encode() in content)

    def apply(self, node: Node) -> None:
        """Write it; a user's file keeps its owner and mode."""
        path = node.path(self.path)
        if path.is_file():
            status = path.stat()
            write_whole(path, self.content, status.st_mode & 0o7777)
            os.chown(path, status.st_uid, status.st_gid)
        else:
            write_whole(path, self.content, self.mode)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class Copy:
    """A file like another of the node, which may not be there yet when this is planned."""

    path: PurePosixPath
    source: PurePosixPath
    kind: ClassVar[str] = "paths"

    @property
    def key(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def touched(self) -> tuple[str, ...]:
        """Its path."""
        return (str(self.path),)

    def is_done(self, node: Node) -> bool:
        """True if both are there and alike."""
        path, source = node.path(self.path), node.path(self.source)
        both = path.is_file() and source.is_file()
        return both and path.read_bytes() == source.read_bytes()

    def apply(self, node: Node) -> None:
        """Write it."""
        write_whole(node.path(self.path), node.path(self.source).read_bytes(), 0o644)

    def __str__(self) -> str:
        return f"{self.path}: the node's own CA"


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    path: PurePosixPath
    target: str
    kind: ClassVar[str] = "paths"

    @property
    def key(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def touched(self) -> tuple[str, ...]:
        """Its path."""
        return (str(self.path),)

    def is_done(self, node: Node) -> bool:
        """True if it leads there."""
        path = node.path(self.path)
        return path.is_symlink() and os.readlink(path) == self.target

    def apply(self, node: Node) -> None:
        """Make or turn it."""
        link_whole(node.path(self.path), self.target)

    def __str__(self) -> str:
        return f"{self.path} -> {self.target}"
