"""Play all scenarios once, in namespaces that end with everything that ran in them."""

from pathlib import Path
from typing import Any

import pytest

from clients.conftest import PROBES
from support.missing import missing_part
from support.namespaces import play

PLAYER = Path(__file__).with_name("player.py")
COMMANDS = (
    *("dockerd", "docker", "containerd", "ctr", "podman", "skopeo", "docker-registry"),
    *("haproxy", "unshare", "ip", "mount", "runc"),
)
NEEDED = ("namespaces", "overlay on tmpfs")


def missing() -> str:
    """What this machine lacks for real clients of a hub; empty if nothing."""
    if " cgroup" not in Path("/proc/mounts").read_text():
        return "a cgroup mount"
    return missing_part(COMMANDS, ["/bin/busybox"], {name: PROBES[name] for name in NEEDED})


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each client got."""
    lacking = missing()
    if lacking:
        pytest.skip(f"missing: {lacking}")
    return play(PLAYER, tmp_path_factory.mktemp("hub"), 240)


def part(results: dict[str, Any], name: str) -> dict[str, Any]:
    """A scenario's results; fails with what went wrong if it did not get to its end."""
    found: dict[str, Any] = results[name] if name in results else results["up"]
    assert "failed" not in found, found["failed"]
    return found
