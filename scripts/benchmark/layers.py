"""A large layer on each route, in turns: speed, and what the proxying process paid."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark import figures
from benchmark.network import REGISTRY_HOST
from benchmark.processes import cpu_seconds
from benchmark.proxies import (
    CACHE_PORT,
    NGINX_PORT,
    PullThroughCache,
    authorities,
    running_mitmdump,
    running_nginx,
)
from benchmark.registry import BenchRegistry
from benchmark.routes import BYPASS, RAW, RAW_LEVERS, STREAMED, STREAMED_LEVERS, Route
from benchmark.settings import Settings

GIB = 1024**3
DIRECT, RELAY, COLD_CACHE, WARM_CACHE = "direct", "relay", "cache-cold", "cache-warm"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One layer fetched: seconds, and CPU seconds of the proxying processes."""

    seconds: float
    cpu: float


def fetch(route: Route, path: str, trusted: Path, agent: str) -> float:
    """Fetch a layer as a runtime does and throw it away; the seconds it took."""
    command = ["curl", "--silent", "--show-error", "--fail", "--location", "--http1.1"]
    command += ["--cacert", str(trusted), "--output", "/dev/null"]
    command += ["--user-agent", f"{agent} docker/20.10.24"]  # what a relay is offered to
    command += ["--oauth2-bearer", "a-token"] if route.credentials else []
    command += ["--write-out", "%{time_total} %{num_redirects}"]
    command += ["--proxy", route.proxy] if route.proxy else ["--noproxy", "*"]
    done = subprocess.run(
        [*command, route.url + path], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{route.key}: curl: {done.stderr.strip()}")
    seconds, redirects = done.stdout.split()
    if int(redirects) != route.redirects:
        raise RuntimeError(f"{route.key}: {redirects} redirects, expected {route.redirects}")
    return float(seconds)


@contextmanager
def all_routes(
    registry: BenchRegistry, addon: str
) -> Iterator[tuple[list[Route], PullThroughCache]]:
    """Every route, up and ready."""
    with ExitStack() as stack:
        pids = {
            proxy.key: stack.enter_context(running_mitmdump(registry, addon, proxy))
            for proxy in (BYPASS, STREAMED, STREAMED_LEVERS, RAW, RAW_LEVERS)
        }
        cache = PullThroughCache(registry)
        stack.callback(cache.stop)
        nginx = stack.enter_context(running_nginx(registry))
        cached = f"https://{REGISTRY_HOST}:{CACHE_PORT}"
        routes = [
            Route(DIRECT, f"https://{REGISTRY_HOST}"),
            Route(BYPASS.key, f"https://{BYPASS.host}", (pids[BYPASS.key],), redirects=1),
            Route(
                RELAY, f"https://{BYPASS.host}", (pids[BYPASS.key],), redirects=1, credentials=True
            ),
            Route("nginx", f"https://{REGISTRY_HOST}:{NGINX_PORT}", (nginx,)),
            Route(COLD_CACHE, cached, (cache.pid,)),
            Route(WARM_CACHE, cached, (cache.pid,)),
        ]
        routes += [
            Route(proxy.key, f"https://{proxy.host}", (pids[proxy.key],))
            for proxy in (RAW, RAW_LEVERS, STREAMED, STREAMED_LEVERS)
        ]
        explicit = f"http://127.0.0.1:{RAW.port + 1}"
        routes.append(Route("raw-regular", f"https://{RAW.host}", (pids[RAW.key],), explicit))
        yield routes, cache


def steps(settings: Settings) -> int:
    """How often `measure` advances."""
    return settings.rounds * 11


def measure(registry: BenchRegistry, settings: Settings, advance: Callable[[], None]) -> Any:
    """Rounds of all routes; for each, medians and the ratio to direct in the same round."""
    small = registry.publish_layer(1024 * 1024)
    path = registry.publish_layer(settings.layer_bytes)
    digest = path.rpartition("/")[2]
    taken: dict[str, list[Transfer]] = {}
    with all_routes(registry, settings.addon) as (routes, cache):
        trusted = authorities(registry)
        for route in routes:
            fetch(route, small, trusted, f"{route.key}-first/1")
        for at in range(settings.rounds):
            for route in routes:
                if route.key == COLD_CACHE:
                    cache.forget()
                before = cpu_seconds(route.processes)
                # A client that asks twice for a layer is one that could not go past: a new
                # client each time.
                seconds = fetch(route, path, trusted, f"{route.key}-{at}/1")
                if route.key == COLD_CACHE:
                    cache.wait_until_kept(digest)
                spent = cpu_seconds(route.processes) - before
                taken.setdefault(route.key, []).append(Transfer(seconds, spent))
                advance()
    rows = {key: summary(done, taken[DIRECT], settings) for key, done in taken.items()}
    return {"MiB": settings.layer_mib, **rows}


def summary(done: list[Transfer], direct: list[Transfer], settings: Settings) -> dict[str, Any]:
    """The figures of a route."""
    speeds = [settings.layer_bytes / one.seconds / 1e6 for one in done]
    bases = [settings.layer_bytes / one.seconds / 1e6 for one in direct]
    paid = sum(one.cpu for one in done) * GIB / settings.layer_bytes / len(done)
    shares = figures.ratios(speeds, bases)
    return {
        "MB/s": figures.median(speeds),
        "of direct": figures.median(shares),
        "of direct, rounds": [figures.significant(share) for share in shares],
        "CPU s/GiB": round(paid, 3),
    }
