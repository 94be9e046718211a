"""What detection asks of a host, and what it finds. No I/O: a host is injected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class ProbeError(Exception):
    """A part of the host that could not be looked at; the message names it and says why."""


class Absent(ProbeError):
    """A part that this host does not have."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a host has, and where that was read."""

    key: str
    value: str
    source: str

    def __str__(self) -> str:
        return f"{self.key}:{self.value}"


@dataclass(frozen=True, slots=True)
class Found:
    """What one part of detection has found, and what it could not find out."""

    facts: tuple[Fact, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NvidiaDriver:
    """What NVIDIA's management library reports: versions, and each GPU's capability."""

    driver: str
    cuda: str
    capabilities: tuple[str, ...]


class Probe(Protocol):
    """A host. Everything raises Absent for what is not there, ProbeError for what is broken."""

    @property
    def machine(self) -> str:
        """The architecture as the kernel names it (`x86_64`)."""
        ...

    def read(self, path: str) -> str:
        """The text of a file."""
        ...

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted."""
        ...

    def run(self, command: Sequence[str], seconds: float) -> str:
        """What a command prints; it is ended after so many seconds."""
        ...

    def fetch(self, method: str, url: str, headers: Mapping[str, str], seconds: float) -> str:
        """What a metadata service answers, within so many seconds."""
        ...

    def nvml(self) -> NvidiaDriver:
        """What NVIDIA's management library reports."""
        ...


def read_or_empty(probe: Probe, path: str) -> str:
    """A file's text without white space around it; empty if there is none to be read."""
    try:
        return probe.read(path).strip()
    except ProbeError:
        return ""


def names_or_none(probe: Probe, path: str) -> tuple[str, ...]:
    """The names in a folder; none if there is no such folder."""
    try:
        return probe.names(path)
    except ProbeError:
        return ()
