"""What the addon adds to a request for a manifest: latency, in turns with direct."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmark import figures
from benchmark.load import Answered, Load, ask
from benchmark.network import REGISTRY_HOST
from benchmark.processes import cpu_seconds
from benchmark.proxies import authorities, running_mitmdump
from benchmark.registry import BenchRegistry
from benchmark.routes import BYPASS, COLD
from benchmark.settings import Settings

# The cold route's cache holds fewer indexes than these, asked for in turn: the least
# recently used goes, so none is ever found.
COLD_INDEXES, COLD_PADDING = 400, 16 * 1024
WARM_INDEXES = 10


@dataclass(frozen=True, slots=True)
class Case:
    """A way to ask, and what to call it."""

    key: str
    load: Load
    cold: bool = False


@dataclass(frozen=True, slots=True)
class Round:
    """A case, direct and through the proxy; what the proxy spent and asked of the registry."""

    direct: Answered
    through: Answered
    cpu: float
    asked: int


def cases(settings: Settings) -> list[Case]:
    """All that is asked in a round."""
    many, few = settings.manifest_requests, settings.manifest_requests // 4
    paced = Load(clients=50, requests=50 * settings.paced_seconds, every=1.0)
    paced_new = Load(clients=50, requests=50 * settings.paced_seconds, every=1.0, keep_alive=False)
    found = []
    for cold in (False, True):
        heat = "cold" if cold else "warm"
        found += [
            Case(f"{heat}, 1 client, kept", Load(clients=1, requests=few), cold),
            Case(f"{heat}, 1 client, new", Load(clients=1, requests=few, keep_alive=False), cold),
            Case(f"{heat}, 50 clients, kept", Load(clients=50, requests=many), cold),
            Case(
                f"{heat}, 50 clients, new",
                Load(clients=50, requests=many // 2, keep_alive=False),
                cold,
            ),
        ]
    found.append(Case("warm, 50 clients, kept, each once a second", paced))
    found.append(Case("warm, 50 clients, new, each once a second", paced_new))
    return found


def steps(settings: Settings) -> int:
    """How often `measure` advances."""
    return len(cases(settings)) * settings.manifest_rounds


def measure(registry: BenchRegistry, settings: Settings, advance: Callable[[], None]) -> Any:
    """Rounds of all cases, each direct and through the proxy right after it."""
    warm = registry.publish_indexes("warm", WARM_INDEXES)
    cold = registry.publish_indexes("cold", COLD_INDEXES, COLD_PADDING)
    taken: dict[str, list[Round]] = {}
    with ExitStack() as stack:
        pids = {
            proxy.key: stack.enter_context(running_mitmdump(registry, settings.addon, proxy))
            for proxy in (BYPASS, COLD)
        }
        trusted = authorities(registry)
        for proxy in (BYPASS, COLD):
            ask(proxy.host, warm, Load(clients=5, requests=100), trusted)
        for _ in range(settings.manifest_rounds):
            for case in cases(settings):
                proxy, paths = (COLD, cold) if case.cold else (BYPASS, warm)
                direct = ask(REGISTRY_HOST, paths, case.load, trusted)
                asked = sum(registry.node.asked_manifests(0).values())
                before = cpu_seconds([pids[proxy.key]])
                proxied = ask(proxy.host, paths, case.load, trusted)
                spent = cpu_seconds([pids[proxy.key]]) - before
                asked = sum(registry.node.asked_manifests(0).values()) - asked
                taken.setdefault(case.key, []).append(Round(direct, proxied, spent, asked))
                if case.cold:
                    at = case.load.requests % len(cold)
                    cold = cold[at:] + cold[:at]  # the next case begins where this one ends
                advance()
    return {"cases": {key: summary(rounds) for key, rounds in taken.items()}}


def summary(rounds: Sequence[Round]) -> dict[str, float]:
    """Milliseconds direct, through the proxy and the difference: medians of the rounds'."""
    row: dict[str, float] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        direct = [figures.percentile(one.direct.seconds, share) * 1000 for one in rounds]
        through = [figures.percentile(one.through.seconds, share) * 1000 for one in rounds]
        row[f"direct {name} ms"] = figures.median(direct)
        row[f"through {name} ms"] = figures.median(through)
        row[f"added {name} ms"] = figures.median(figures.differences(through, direct))
    row["direct requests/s"] = figures.median([one.direct.rate for one in rounds])
    row["through requests/s"] = figures.median([one.through.rate for one in rounds])
    requests = [one.through.sent for one in rounds]
    paid = [one.cpu / count * 1000 for one, count in zip(rounds, requests, strict=True)]
    row["CPU ms a request"] = figures.median(paid)
    row["asked upstream"] = figures.significant(sum(one.asked for one in rounds) / sum(requests))
    return row
