"""Run the parts that need root in namespaces of their own, where they can touch nothing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmark.settings import Settings

COMMANDS = ("docker-registry", "curl", "unshare", "setpriv", "ip", "mount", "nft")
MORE_COMMANDS = {"pull": ("dockerd", "docker"), "layers": ("nginx",)}
# Whatever ends the bench ends its namespaces, and they end all that runs in them.
UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL", "unshare", "--kill-child", "--fork"),
    *("--mount", "--net", "--pid", "--mount-proc"),
)
_SECONDS = 2400  # a full run takes about a quarter of an hour


def missing(part: str) -> str:
    """What this machine lacks for a part; empty if nothing."""
    if os.geteuid() != 0:
        return "needs root"
    for command in (*COMMANDS, *MORE_COMMANDS.get(part, ())):
        if shutil.which(command) is None:
            return f"needs the command {command}"
    probe = [*UNSHARE, "nft", "add", "table", "inet", "metahub"]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        return f"needs namespaces with nftables ({done.stderr.strip()[:200]})"
    return ""


def measure(settings: Settings, parts: list[str]) -> dict[str, Any]:
    """The parts' results; those that can't run here say `skip`."""
    lacking = {part: missing(part) for part in parts}
    results: dict[str, Any] = {part: {"skip": why} for part, why in lacking.items() if why}
    able = [part for part in parts if not lacking[part]]
    return results | (_measure_inside(settings, able) if able else {})


def _measure_inside(settings: Settings, parts: list[str]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="metahub-bench-") as folder:
        inside = [sys.executable, "-m", "benchmark.inside", folder, settings.to_json(), *parts]
        process = subprocess.Popen([*UNSHARE, *inside], stdout=subprocess.PIPE)
        try:
            output, _ = process.communicate(timeout=_SECONDS)
        finally:
            process.kill()
            process.wait()
        left = list(Path(folder).iterdir())
    if left:
        raise RuntimeError(f"files were left behind: {left}")
    if process.returncode and not output:
        raise RuntimeError(f"the bench in the namespaces ended with {process.returncode}")
    results: dict[str, Any] = json.loads(output)
    return results
