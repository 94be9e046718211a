"""What a mitmdump keeps in memory over many requests and layers."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.layers import GIB, fetch
from benchmark.load import Load, ask
from benchmark.processes import memory
from benchmark.proxies import authorities, running_mitmdump
from benchmark.registry import BenchRegistry
from benchmark.routes import MEMORY, MEMORY_CACHE_MIB, Route
from benchmark.settings import Settings

BATCHES = 20
# More than the cache holds, so that it is full for most of the run.
LARGE_INDEXES, LARGE_PADDING = 400, 64 * 1024
WARM_INDEXES = 20
STREAMED_EVERY = 10


def steps(settings: Settings) -> int:
    """How often `measure` advances."""
    del settings
    return BATCHES


def measure(registry: BenchRegistry, settings: Settings, advance: Callable[[], None]) -> Any:
    """Batches of requests and layers; a sample of the memory behind each.

    The first sample is taken when each kind was there once: code and buffers that every
    run has are no growth.
    """
    work = Work(
        warm=registry.publish_indexes("warm", WARM_INDEXES),
        large=registry.publish_indexes("large", LARGE_INDEXES, LARGE_PADDING),
        layer=registry.publish_layer(settings.memory_gib * GIB // BATCHES),
    )
    requests, size = settings.memory_requests // BATCHES, settings.memory_gib / BATCHES
    with running_mitmdump(registry, settings.addon, MEMORY) as pid:
        trusted = authorities(registry)
        route = Route(MEMORY.key, f"https://{MEMORY.host}", (pid,), redirects=1)
        work.first(route, trusted)
        samples = [sample(pid, 0, 0, 0)]
        streamed = 0.0
        for at in range(BATCHES):
            work.batch(route, trusted, at, requests)
            if at % STREAMED_EVERY == 0:
                come_back(route, work.layer, trusted, f"back-{at}/1")
                streamed += size
            samples.append(sample(pid, (at + 1) * requests, (at + 1) * size, streamed))
            advance()
    return {"cache MiB": MEMORY_CACHE_MIB, "samples": samples}


@dataclass(frozen=True, slots=True)
class Work:
    """The paths of what is asked for."""

    warm: list[str]
    large: list[str]
    layer: str

    def first(self, route: Route, trusted: Path) -> None:
        """Each kind of request once, or a few times."""
        ask(MEMORY.host, self.warm + self.large[:5], Load(clients=10, requests=25), trusted)
        fetch(route, self.layer, trusted, "first/1")
        come_back(route, self.layer, trusted, "first-back/1")

    def batch(self, route: Route, trusted: Path, at: int, requests: int) -> None:
        """So many requests, a tenth of them for indexes that are not cached, and a layer."""
        few = requests // 10
        start = at * few % len(self.large)
        cold = self.large[start:] + self.large[:start]
        ask(MEMORY.host, cold, Load(clients=10, requests=few), trusted)
        ask(MEMORY.host, self.warm, Load(clients=10, requests=requests - few), trusted)
        fetch(route, self.layer, trusted, f"bench-{at}/1")


def come_back(route: Route, layer: str, trusted: Path, agent: str) -> None:
    """Be a client that cannot take the redirect: it asks again, and gets the layer streamed."""
    command = ["curl", "--silent", "--output", "/dev/null", "--cacert", str(trusted)]
    subprocess.run([*command, "--user-agent", agent, route.url + layer], check=True, timeout=60)
    fetch(replace(route, redirects=0), layer, trusted, agent)


def sample(pid: int, requests: int, gib: float, streamed: float) -> dict[str, float]:
    """The resident memory after so many requests and GiB of layers."""
    now = memory(pid)
    return {
        "requests": requests,
        "GiB past": round(gib, 2),
        "GiB streamed": round(streamed, 2),
        "MiB": round(now.now, 1),
        "peak MiB": round(now.peak, 1),
    }
