"""The ordered steps of an installation, purely from what is wanted and what has to change."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from installer.desired import Desired
from installer.entry import Entry
from installer.facts import Daemon, Facts
from installer.items import Item
from installer.layout import (
    CONFIG_FILE,
    CONTAINERD_CONFIG,
    CURRENT,
    DOCKER_CONFIG,
    FIREWALL,
    PODMAN_ENGINE,
    PODMAN_REGISTRIES,
    SERVICE,
    TABLE_FILE,
    UNITS,
)
from installer.routes import drop_in
from installer.trust_store import TrustStore

_DAEMONS = ("containerd", "docker")
# What a runtime reads only when it starts, besides the system's trusted certificates.
AT_START = {
    "containerd": frozenset((str(CONTAINERD_CONFIG), str(drop_in("containerd")))),
    "docker": frozenset((str(drop_in("docker")),)),
}


@dataclass(frozen=True, slots=True)
class Put:
    """Make an item. `keep`: what is there now is a user's work and is saved beside."""

    item: Item
    keep: bool = False

    def __str__(self) -> str:
        kept = " (your version is kept beside it)" if self.keep else ""
        return f"write {self.item}{kept}"


@dataclass(frozen=True, slots=True)
class Undo:
    """Bring back what was there before an item that is no longer wanted."""

    entry: Entry

    def __str__(self) -> str:
        return f"undo {self.entry.key}"


@dataclass(frozen=True, slots=True)
class Control:
    """A command to systemd. `due`: the runtime that is to be restarted from now on."""

    verb: str
    unit: str = ""
    why: str = ""
    due: str = ""

    def __str__(self) -> str:
        return f"{self.verb} {self.unit}".strip() + (f": {self.why}" if self.why else "")


@dataclass(frozen=True, slots=True)
class Hint:
    """Something that stays to be done, or to be known."""

    text: str
    due: str = ""

    def __str__(self) -> str:
        return self.text


Step = Put | Undo | Control | Hint


@dataclass(frozen=True, slots=True)
class Change:
    """How a node differs from what is wanted. `edited`: keys of files that users changed."""

    puts: tuple[Item, ...] = ()
    undos: tuple[Entry, ...] = ()
    edited: frozenset[str] = frozenset()
    # Files that users changed and that would not be written otherwise.
    left: tuple[str, ...] = ()

    @property
    def keys(self) -> frozenset[str]:
        """All keys that change."""
        return frozenset((*(item.key for item in self.puts), *(e.key for e in self.undos)))


def plan(desired: Desired, facts: Facts, change: Change) -> tuple[Step, ...]:
    """All steps; none if nothing is to be done. Hints are no steps of their own."""
    routes = [entry for entry in change.undos if is_route(entry.key)]
    later = [entry for entry in change.undos if not is_route(entry.key)]
    early = [*(item.key for item in change.puts), *(entry.key for entry in routes)]
    restarts = list(_restarts(desired, facts, change))
    steps: list[Step] = [Put(item, item.key in change.edited) for item in change.puts]
    service = list(_service(desired, facts, change))
    # Runtimes must trust the CA before anything reaches the proxy, and must not be sent to
    # a proxy that does not listen yet.
    if desired.ways.mode == "proxy":
        steps += [*_reload(early), *service, *map(Undo, routes), *restarts]
    else:
        steps += [*map(Undo, routes), *_reload(early), *restarts, *service]
    if any(entry.key == str(UNITS / FIREWALL) for entry in later):
        steps.append(Control("stop", FIREWALL, "its table goes"))
    steps += map(Undo, later)
    if any(entry.key.startswith(str(UNITS)) for entry in later):
        steps.append(Control("daemon-reload"))
    return tuple(steps)


def is_route(key: str) -> bool:
    """True for what sends a runtime to the proxy by its own configuration."""
    routes = (DOCKER_CONFIG, CONTAINERD_CONFIG, PODMAN_ENGINE, PODMAN_REGISTRIES)
    named = {*map(str, routes), *(str(drop_in(runtime)) for runtime in _DAEMONS)}
    return key in named or key.endswith("/_default/hosts.toml")


def _reload(keys: Collection[str]) -> Iterator[Step]:
    if any(key.startswith(str(UNITS)) for key in keys):
        yield Control("daemon-reload")


def _restarts(desired: Desired, facts: Facts, change: Change) -> Iterator[Step]:
    """Restarts of runtimes for what they read only when they start."""
    daemons: dict[str, Daemon] = {"docker": facts.docker, "containerd": facts.containerd}
    trusts = any(isinstance(item, TrustStore) for item in change.puts)
    for name in _DAEMONS:
        fresh = bool(AT_START[name] & change.keys) or (trusts and name in desired.runtimes)
        due = facts.due.get(name, 0) > daemons[name].started
        if not daemons[name].active or not (fresh or due):
            continue
        yield _restart(name, facts, name if fresh else "")
    if any(item.key == str(DOCKER_CONFIG) for item in change.puts) and facts.docker.active:
        yield Control("reload", "docker.service", "its mirrors")


def _restart(name: str, facts: Facts, due: str) -> Step:
    if name == "docker" and facts.docker_holds:
        count = facts.docker_holds if facts.docker_holds > 0 else "all"
        return Hint(
            f"docker is not restarted, which would end its containers ({count}): "
            "`systemctl restart docker` later",
            due,
        )
    return Control("restart", f"{name}.service", "for what it reads when it starts", due)


def _firewall(desired: Desired, facts: Facts, change: Change) -> Iterator[Step]:
    if not desired.ways.layers:
        return
    if FIREWALL not in facts.active:
        yield Control("restart", FIREWALL, "its table is loaded")
    elif {str(TABLE_FILE), str(UNITS / FIREWALL)} & change.keys or not facts.table_loaded:
        # In one step: in between, layers on their way past the proxy would find no way.
        yield Control("reload", FIREWALL, "its table is loaded anew")


def _service(desired: Desired, facts: Facts, change: Change) -> Iterator[Step]:
    firewall = list(_firewall(desired, facts, change))
    own = {str(CONFIG_FILE), str(CURRENT), "authority", str(UNITS / SERVICE)}
    own.add(str(UNITS / f"{SERVICE}.d" / "metahub.conf"))
    is_up = SERVICE in facts.active
    if is_up and firewall and {str(CONFIG_FILE), str(TABLE_FILE)} <= change.keys:
        # The old proxy must not send anybody to layers ports that the new table has moved.
        yield Control("stop", SERVICE, "connections are drained first")
        yield from firewall
        yield Control("start", SERVICE, "the proxy, with its new table")
        return
    yield from firewall
    if own & change.keys:
        # One that fails over and over is not active, and has to be stopped all the same.
        why = "connections are drained first" if is_up else "the proxy"
        yield Control("restart", SERVICE, why)
    elif not is_up:
        yield Control("start", SERVICE, "the proxy")
