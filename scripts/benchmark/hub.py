"""A fleet that pulls through a hub, in turns with direct and with a mitmdump without addons.

The registry behind wants credentials. Directly and through the bare mitmdump the machines
have them; the hub has its own, and the machines log in to the hub.
"""

import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmark import figures
from benchmark.fleet_load import FleetPulled, Pace, pull_all
from benchmark.network import PRIVATE_PORT, REGISTRY_HOST
from benchmark.processes import cpu_seconds
from benchmark.proxies import authorities, running_reverse
from benchmark.registry import USER, BenchRegistry
from benchmark.routes import LEAN
from benchmark.settings import Settings
from support.fleet import PASSWORD, TYPES, Image, basic, fleet_of, hub_config
from support.lean_client import Place

DIRECT, BARE, HUB = WAYS = ("direct", "bare", "hub")
AT_ONCE, PACED = CASES = ("at once", "paced")
HUB_PORT, BARE_PORT = 18443, 18444
PACED_EVERY = 10.0
HUB_OPTIONS = (LEAN,)


@dataclass(frozen=True, slots=True)
class Way:
    """How machines come to the registry; `login` is the one at the registry, `pid` who is paid."""

    place: Place
    login: str = ""
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """What a fleet pulled, the CPU seconds of proxy and registry, and what that one was asked."""

    done: FleetPulled
    proxy: float
    registry: float
    asked: Counter[str]


def steps(settings: Settings) -> int:
    """How often `measure` advances."""
    return settings.fleet_rounds * len(WAYS)


def measure(registry: BenchRegistry, settings: Settings, advance: Callable[[], None]) -> Any:
    """Rounds of all ways, each with a proxy that has just started and knows nothing."""
    registry.serve_privately()
    images = registry.publish_fleet(settings.fleet_tags)
    machines = fleet_of(settings.fleet_machines)
    taken: dict[str, dict[str, list[Round]]] = {case: {way: [] for way in WAYS} for case in CASES}
    for at in range(settings.fleet_rounds):
        for key in (*WAYS[at % len(WAYS) :], *WAYS[: at % len(WAYS)]):
            with on_way(registry, settings, key) as way:
                for case, pace in paces(settings).items():
                    pull = partial(pull_all, way.place, machines, images, pace, way.login)
                    taken[case][key].append(one(registry, way, pull))
            if key == HUB:
                verify(taken[AT_ONCE][HUB][-1], images)
            advance()
    return {
        "machines": settings.fleet_machines,
        "types": len(TYPES),
        "tags": settings.fleet_tags,
        "every s": PACED_EVERY,
        "cases": {
            case: {key: summary(rounds) for key, rounds in ways.items()}
            for case, ways in taken.items()
        },
    }


def paces(settings: Settings) -> dict[str, Pace]:
    """All tags at once by a hub that knows nothing; and then, each machine now and then."""
    return {
        AT_ONCE: Pace(pulls=settings.fleet_tags),
        PACED: Pace(pulls=settings.fleet_paced_pulls, every=PACED_EVERY),
    }


@contextmanager
def on_way(registry: BenchRegistry, settings: Settings, key: str) -> Iterator[Way]:
    """What a way needs, started and ready."""
    login = basic(USER, USER)
    folder, tls = registry.node.folder, ssl.create_default_context(cafile=str(registry.ca))
    if key == DIRECT:
        host = REGISTRY_HOST
        yield Way(Place(address=host, port=PRIVATE_PORT, host=host, tls=tls), login)
        return
    options: Sequence[str] = ()
    if key == HUB:
        (folder / "password").write_text(USER)
        upstream = f"https://{REGISTRY_HOST}:{PRIVATE_PORT}"
        file = folder / "machine-types.yaml"
        file.write_text(hub_config(PASSWORD, upstream, USER, f"{folder}/password"))
        options, login = [f"metahub_machine_types={file}", *HUB_OPTIONS], ""
    port, addon = (HUB_PORT, settings.addon) if key == HUB else (BARE_PORT, "")
    with running_reverse(registry, key, addon, port, PRIVATE_PORT, options) as pid:
        tls.load_verify_locations(authorities(registry))
        host = f"{key}.test"
        yield Way(Place(address="127.0.0.1", port=port, host=host, tls=tls), login, pid)


def one(registry: BenchRegistry, way: Way, pull: Callable[[], FleetPulled]) -> Round:
    """The fleet on a way, and what that cost."""
    proxies, registries = [way.pid] if way.pid else [], [registry.serve_privately()]
    asked = len(registry.asked_privately())
    before = cpu_seconds(proxies), cpu_seconds(registries)
    done = pull()
    spent = cpu_seconds(proxies) - before[0], cpu_seconds(registries) - before[1]
    return Round(done, *spent, Counter(registry.asked_privately()[asked:]))


def verify(seen: Round, images: Sequence[Image]) -> None:
    """Every machine its own child, and each index and child asked for once; RuntimeError."""
    own = {image.path: image.children for image in images}
    for pulled in seen.done.pulls:
        if pulled.digest != own[pulled.path][pulled.machine.type]:
            raise RuntimeError(f"{pulled.machine.type}: another's child of {pulled.path}")
    gets = [count for asked, count in seen.asked.items() if is_get(asked)]
    wanted = len(images) * (1 + len(TYPES))
    if len(gets) != wanted or sum(gets) != wanted:
        raise RuntimeError(f"{sum(gets)} GETs of {len(gets)} manifests, not {wanted} once each")


def is_get(asked: str) -> bool:
    """True for a GET of a manifest, among the registry's requests."""
    return asked.startswith("GET ") and "/manifests/" in asked


def summary(rounds: Sequence[Round]) -> dict[str, float]:
    """Pulls a second, milliseconds, and what a pull cost: medians of the rounds'."""
    pulls = [len(one.done.pulls) for one in rounds]
    row = {"pulls/s": figures.median([one.done.rate for one in rounds])}
    kinds: dict[str, list[list[float]]] = {
        "HEAD": [one.done.heads for one in rounds],
        "GET": [one.done.gets for one in rounds],
        "pull": [one.done.whole for one in rounds],
    }
    for kind, seconds in kinds.items():
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            found = [figures.percentile(values, share) * 1000 for values in seconds]
            row[f"{kind} {name} ms"] = figures.median(found)
    for name, costs in (
        ("CPU ms a pull", [one.proxy * 1000 for one in rounds]),
        ("registry CPU ms a pull", [one.registry * 1000 for one in rounds]),
        ("asked upstream", [float(one.asked.total()) for one in rounds]),
    ):
        row[name] = figures.median([cost / all for cost, all in zip(costs, pulls, strict=True)])
    return row
