"""Play the Kubernetes node once, in namespaces that end with everything that ran in them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.missing import UNSHARE, missing_part

PLAY = Path(__file__).with_name("mirrored.py")
PROBES = {"namespaces": ["mount", "-t", "tmpfs", "tmpfs", "/mnt"]}
COMMANDS = ("containerd", "ctr", "docker-registry", "unshare", "setpriv", "ip", "mount")


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each pull got, and what lay on the node."""
    if lacking := missing_part(COMMANDS, ["/bin/busybox"], PROBES):
        pytest.skip(f"missing: {lacking}")
    folder = tmp_path_factory.mktemp("kubernetes")
    done = subprocess.run(
        ["timeout", "--kill-after", "10", "120", *UNSHARE, sys.executable, str(PLAY), str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert list(folder.iterdir()) == [], "the node left files behind"
    results: dict[str, Any] = json.loads(done.stdout)
    assert "failed" not in results, results["failed"]
    return results
