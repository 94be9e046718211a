"""Parse and choose among many children: time as a multiple of json.loads of the same bytes."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from metahub_addon.features import Feature
from metahub_addon.index import parse_index
from metahub_addon.machine import MachineType
from metahub_addon.media_types import OCI_INDEX, OCI_MANIFEST
from metahub_addon.oci_platform import Platform
from metahub_addon.selection import choose

# A family as large ones are: microarchitectures x GPUs x MPI.
CPUS = (
    *("x86-64-v2", "x86-64-v3", "x86-64-v4", "haswell", "broadwell", "skylake_avx512"),
    *("icelake", "sapphirerapids", "zen2", "zen3", "zen4", "zen5"),
)
GPUS = ("", "7.0", "8.0", "8.6", "8.9", "9.0a", "10.0f", "12.0")
MPIS = ("", "openmpi", "mpich", "intel")
TARGETS = {"parse": 50.0, "choose": 20.0}  # milliseconds, for 1,000 children


def family(children: int) -> bytes:
    """The bytes of an index with so many children."""
    manifests = []
    for at in range(children):
        cpu = CPUS[at % len(CPUS)]
        gpu = GPUS[at // len(CPUS) % len(GPUS)]
        mpi = MPIS[at // len(CPUS) // len(GPUS) % len(MPIS)]
        features = [f"cpu:{cpu}", *([f"nvcap:{gpu}", "cuda:12.2"] if gpu else [])]
        features += [f"mpi:{mpi}"] if mpi else []
        manifests.append(
            {
                "mediaType": OCI_MANIFEST,
                "digest": f"sha256:{at:064x}",
                "size": 1234,
                "platform": {"os": "linux", "architecture": "amd64", "features": features},
                "annotations": {"org.opencontainers.image.created": "2026-11-01T00:00:00Z"},
            }
        )
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    return json.dumps(index).encode()


def host() -> MachineType:
    """A node with two kinds of GPU, so that every rule is asked."""
    texts = ("cpu:zen4", "nvcap:8.0", "nvcap:8.6", "cuda:12.4", "mpi:openmpi", "glibc:2.34")
    return MachineType(
        name="bench",
        platform=Platform("linux", "amd64"),
        features=tuple(map(Feature.parse, texts)),
    )


def seconds(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--children", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    body, machine = family(options.children), host()
    index = parse_index(body, OCI_INDEX)
    works: dict[str, Callable[[], Any]] = {
        "json.loads": lambda: json.loads(body),
        "parse": lambda: parse_index(body, OCI_INDEX),
        "choose": lambda: choose(index, machine),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    first = {name: seconds(work) for name, work in works.items()}  # with cold caches
    quiet = options.json or not sys.stderr.isatty()
    rounds = track(range(options.rounds), "measuring", console=Console(stderr=True), disable=quiet)
    for _ in rounds:
        for name, work in works.items():  # in turns: noise meets all of them
            times[name].append(seconds(work))
    base = statistics.median(times["json.loads"])
    rows = {
        name: {
            "median ms": round(statistics.median(taken) * 1000, 2),
            "first ms": round(first[name] * 1000, 2),
            "of json.loads": round(statistics.median(taken) / base, 1),
        }
        for name, taken in times.items()
    }
    if options.json:
        print(json.dumps({"children": options.children, "bytes": len(body), **rows}, indent=2))
    else:
        table = Table(title=f"{options.children} children, {len(body)} bytes")
        for column in ("work", "median ms", "first ms", "of json.loads", "target ms"):
            table.add_column(column, justify="left" if column == "work" else "right")
        for name, row in rows.items():
            goal = TARGETS.get(name, 0) * options.children / 1000
            table.add_row(name, *map(str, row.values()), f"{goal:g}" if goal else "")
        Console().print(table)
    met = all(
        statistics.median(times[name]) * 1000 <= goal * options.children / 1000
        for name, goal in TARGETS.items()
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
