"""How long mitmdump with the addon takes from its start until it listens."""

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmark.figures import median
from benchmark.proxies import mitmdump_command, stop, wait_until_listening
from benchmark.settings import Settings
from support.mitmdump import free_port


def measure(settings: Settings) -> dict[str, Any]:
    """Starts with the addon and, in turns, without; the first one makes the CA."""
    taken: dict[str, list[float]] = {"with the addon": [], "mitmdump alone": []}
    with tempfile.TemporaryDirectory(prefix="metahub-bench-") as folder:
        confdir = Path(folder)
        with_addon = mitmdump_command(settings.addon, confdir)
        alone = [with_addon[0], "--set", f"confdir={confdir}", "--set", "flow_detail=0"]
        seconds(alone, confdir)
        for _ in range(settings.starts):
            taken["with the addon"].append(seconds(with_addon, confdir))
            taken["mitmdump alone"].append(seconds(alone, confdir))
    row: dict[str, Any] = {f"{key}, s": median(done) for key, done in taken.items()}
    return row | {"spread, s": round(statistics.pstdev(taken["with the addon"]), 3)}


def seconds(command: list[str], folder: Path) -> float:
    """From a start until the port accepts."""
    port = free_port()
    log = folder / "mitmdump.log"
    began = time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--mode", f"regular@127.0.0.1:{port}"],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_listening(process, log, port)
        return time.perf_counter() - began
    finally:
        stop(process)
