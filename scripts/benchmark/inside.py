"""The parts that need namespaces of their own; run in them by `benchmark.namespaces`.

Writes what was measured to standard output, as JSON: by part, either its figures or why
there are none. With the namespaces ends everything that was started in them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmark import hub, layers, manifests, memory, network, pulls
from benchmark.registry import BenchRegistry
from benchmark.routes import PROXIES
from benchmark.settings import Settings
from clients.node import Node

Measure = Callable[[BenchRegistry, Settings, Callable[[], None]], Any]
MEASURES: dict[str, tuple[Measure, Callable[[Settings], int]]] = {
    "manifests": (manifests.measure, manifests.steps),
    "hub": (hub.measure, hub.steps),
    "pull": (pulls.measure, pulls.steps),
    "layers": (layers.measure, layers.steps),
    "memory": (memory.measure, memory.steps),
}


def main(folder: Path, settings: Settings, parts: list[str]) -> None:
    """Measure parts; one that fails is a result, too."""
    network.run("mount", "-t", "tmpfs", "-o", "size=90%", "tmpfs", str(folder))
    node = Node(folder / "work")
    node.folder.mkdir()
    results: dict[str, Any] = {}
    try:
        network.set_up(node.folder, [proxy.redirected for proxy in PROXIES])
        registry = BenchRegistry(node, [proxy.host for proxy in PROXIES])
        with progress() as bars:
            for part in parts:
                results[part] = play(part, registry, settings, bars)
    finally:
        json.dump(results, sys.stdout)
        sys.stdout.flush()
        for daemon in node.daemons:
            daemon.terminate()


def progress() -> Progress:
    """Bars on standard error, and only for people."""
    return Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def play(part: str, registry: BenchRegistry, settings: Settings, bars: Progress) -> Any:
    """One part; its space is free again behind it."""
    measure, steps = MEASURES[part]
    bar = bars.add_task(part, total=steps(settings))
    began = time.monotonic()
    try:
        figures = measure(registry, settings, lambda: bars.advance(bar))
    except (RuntimeError, subprocess.SubprocessError, OSError) as error:
        return {"failed": str(error)[-3000:]}
    finally:
        registry.forget()
    return {**figures, "seconds": round(time.monotonic() - began, 1)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Settings.from_json(sys.argv[2]), sys.argv[3:])
