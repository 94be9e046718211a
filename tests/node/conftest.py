"""Play all scenarios once, on a node of their own."""

import json
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.far import HOSTS
from support import debian_root
from support.cgroups import MOUNTS
from support.missing import missing_part
from support.wheels import REPOSITORY, collect_wheels, system_python

PLAYER = Path(__file__).with_name("player.py")
COMMANDS = (
    *("dockerd", "docker", "containerd", "ctr", "podman", "docker-registry", "runc"),
    *("curl", "update-ca-certificates"),
)
BOOTS, SECONDS = 2, 400


def missing() -> str:
    """What this machine lacks for a node; empty if nothing."""
    if not system_python():
        return "a python3 of the system, 3.11 or newer, with venv (python3-venv)"
    return missing_part(COMMANDS, ["/bin/busybox"]) or debian_root.missing()


class Scenarios:
    """Results by scenario; one that could not be played to its end fails here."""

    def __init__(self, results: dict[str, Any]) -> None:
        self._results = results

    def __getitem__(self, name: str) -> Any:
        found = self._results[name]
        if isinstance(found, dict) and "failed" in found:
            pytest.fail(f"{name}: {found['failed']}", pytrace=False)
        return found


@dataclass(frozen=True)
class Played:
    """What each boot's scenarios have found, and what they have left on the machine."""

    boots: list[Scenarios]
    left: set[str]


def traces(folder: Path) -> set[str]:
    """What is on this machine of what a root could leave there."""
    name = f"metahub-root-{os.getpid()}"
    cgroups = {str(path) for path in Path(MOUNTS).glob(f"**/{name}")}
    processes = {
        str(process)
        for process in Path("/proc").iterdir()
        if process.name.isdecimal() and _mentions(process, (name, str(folder)))
    }
    interfaces = {str(path) for path in Path("/sys/class/net").iterdir()}
    return cgroups | processes | interfaces | {*Path("/proc/mounts").read_text().splitlines()}


def _mentions(process: Path, names: Iterable[str]) -> bool:
    """True if a process is in a cgroup of one of these names, or was started with it."""
    try:
        said = (process / "cgroup").read_text() + (process / "cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(name in said for name in names)


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Play all of them."""
    lacking = missing()
    if lacking:
        pytest.skip(f"missing: {lacking}")
    folder = tmp_path_factory.mktemp("root")
    try:
        wheels = collect_wheels(system_python())
    except subprocess.CalledProcessError as error:
        pytest.skip(f"missing: wheels of what the program depends on ({error})")
    environment = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "HOME": "/root"}
    before = traces(folder)
    debian_root.play(
        PLAYER,
        folder,
        HOSTS,
        {**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        visible=[wheels, REPOSITORY],
        boots=BOOTS,
        seconds=SECONDS,
    )
    files = [folder / f"results-{boot}.json" for boot in range(1, BOOTS + 1)]
    found = [Scenarios(json.loads(file.read_text())) for file in files]
    return Played(found, traces(folder) - before)


@pytest.fixture(scope="session")
def first(played: Played) -> Scenarios:
    """The boot that installs."""
    return played.boots[0]


@pytest.fixture(scope="session")
def second(played: Played) -> Scenarios:
    """The boot after it."""
    return played.boots[1]
