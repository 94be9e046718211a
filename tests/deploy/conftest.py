"""Play the Kubernetes node once, in namespaces that end with everything that ran in them."""

from pathlib import Path
from typing import Any

import pytest

from support.missing import missing_part
from support.namespaces import play

PLAY = Path(__file__).with_name("mirrored.py")
PROBES = {"namespaces": ["mount", "-t", "tmpfs", "tmpfs", "/mnt"]}
COMMANDS = ("containerd", "ctr", "docker-registry", "unshare", "setpriv", "ip", "mount")


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each pull got, and what lay on the node."""
    if lacking := missing_part(COMMANDS, ["/bin/busybox"], PROBES):
        pytest.skip(f"missing: {lacking}")
    results = play(PLAY, tmp_path_factory.mktemp("kubernetes"), 120)
    assert "failed" not in results, results["failed"]
    return results
