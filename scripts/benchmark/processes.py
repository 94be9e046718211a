"""What a process and its children have used so far, as /proc tells."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MiB: now, and the most so far."""

    now: float
    peak: float


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes with all their descendants, ended ones too."""
    return sum(_ticks(pid) for root in pids for pid in _tree(root)) / _TICKS


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            for child in (task / "children").read_text().split():
                yield from _tree(int(child))


def _ticks(pid: int) -> int:
    return ticks(Path(f"/proc/{pid}/stat").read_text())


def ticks(stat: str) -> int:
    """utime + stime + cutime + cstime of a /proc/PID/stat; a name may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def memory(pid: int) -> Memory:
    """The resident memory of one process."""
    return parse_memory(Path(f"/proc/{pid}/status").read_text())


def parse_memory(status: str) -> Memory:
    """VmRSS and VmHWM of a /proc/PID/status."""
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Memory(*(int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM")))
