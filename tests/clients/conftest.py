"""Play all scenarios once, in namespaces that end with everything that ran in them."""

from pathlib import Path
from typing import Any

import pytest

from support.missing import missing_part
from support.namespaces import play

NODE = Path(__file__).with_name("node.py")
COMMANDS = (
    *("dockerd", "docker", "containerd", "ctr", "podman", "skopeo", "docker-registry"),
    *("iptables", "unshare", "setpriv", "ip", "mount", "runc", "gcc"),
)
# Run in throw-away namespaces: what the scenarios need of the kernel.
PROBES = {
    "namespaces": ["true"],
    "an iptables redirect by group": [
        *("iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "443", "-m", "owner"),
        *("!", "--gid-owner", "60001", "-j", "REDIRECT", "--to-ports", "8082"),
    ],
    "overlay on tmpfs": [
        *("sh", "-c"),
        "mount -t tmpfs tmpfs /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m && mount -t overlay"
        " overlay -o lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w /mnt/m",
    ],
}


def missing() -> str:
    """What this machine lacks for real runtimes; empty if nothing."""
    if " cgroup" not in Path("/proc/mounts").read_text():
        return "a cgroup mount"
    return missing_part(COMMANDS, ["/bin/busybox"], PROBES)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each client got."""
    lacking = missing()
    if lacking:
        pytest.skip(f"missing: {lacking}")
    return play(NODE, tmp_path_factory.mktemp("node"), 240)
