"""Parse and choose among many children: time as a multiple of json.loads of the same bytes."""

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

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
ROUNDS = 30


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


def measure(children: int) -> dict[str, Any]:
    """Each work as medians, and as a multiple of json.loads; the first time, too."""
    body, machine = family(children), host()
    index = parse_index(body, OCI_INDEX)
    works: dict[str, Callable[[], Any]] = {
        "json.loads": lambda: json.loads(body),
        "parse": lambda: parse_index(body, OCI_INDEX),
        "choose": lambda: choose(index, machine),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    first = {name: seconds(work) for name, work in works.items()}  # with cold caches
    for _ in range(ROUNDS):
        for name, work in works.items():  # in turns: noise meets all of them
            times[name].append(seconds(work))
    base = statistics.median(times["json.loads"])
    rows: dict[str, Any] = {
        name: {
            "median ms": round(statistics.median(taken) * 1000, 2),
            "first ms": round(first[name] * 1000, 2),
            "of json.loads": round(statistics.median(taken) / base, 1),
        }
        for name, taken in times.items()
    }
    for name, goal in TARGETS.items():
        rows[name]["target ms"] = goal * children / 1000
    return {"children": children, "bytes": len(body), **rows}
