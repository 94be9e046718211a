"""What is wanted on a node, purely from what is asked for and how the node is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from installer.facts import Facts
from installer.items import Account, Copy, File, Item, Link
from installer.layout import (
    CA_CERTIFICATE,
    CONFIG_FILE,
    CONTAINERS_CERTS,
    CURRENT,
    DOCKER_CERTS,
    FIREWALL,
    HEARTBEAT_FILE,
    SERVICE,
    TABLE_FILE,
    UNITS,
)
from installer.own_files import Authority, DetectedProfile, GivenProfile
from installer.problem import Problem
from installer.program import Environment
from installer.routes import mirror_items, mirrored, proxy_items
from installer.texts import Ways, config_text, heartbeat_text, table_text, template
from installer.trust_store import TrustStore
from installer.wanted import DOCKER_HUB, Wanted, all_registries, image_name, is_concrete
from metahub_addon.registries import RegistryPattern


@dataclass(frozen=True, slots=True)
class Desired:
    """The items in the order in which they are made, and what the operator should know."""

    items: tuple[Item, ...]
    ways: Ways
    runtimes: tuple[str, ...]
    hints: tuple[str, ...] = ()


def find_runtimes(wanted: Wanted, facts: Facts) -> tuple[str, ...]:
    """The runtimes that are set up; raises Problem if there is none."""
    if not facts.runtimes:
        raise Problem("no docker, containerd or podman is installed: nothing pulls images here")
    if wanted.runtime not in ("auto", *facts.runtimes):
        raise Problem(f"--runtime {wanted.runtime}: is not installed on this node")
    # The firewall knows no runtimes: each that is redirected must trust the node's CA.
    is_all = wanted.runtime == "auto" or wanted.mode == "transparent"
    return tuple(sorted(facts.runtimes)) if is_all else (wanted.runtime,)


def desire(wanted: Wanted, facts: Facts, docker_must_wait: bool = False) -> Desired:
    """Everything. `docker_must_wait`: dockerd trusts our CA only once it has been restarted."""
    runtimes = find_runtimes(wanted, facts)
    if wanted.mode == "transparent" and facts.others:
        raise Problem(
            f"{facts.others[0]}: pulls images, too, and would not trust the node's CA: "
            "take --mode mirror or proxy"
        )
    found = facts.found
    left = (*found.insecure, *found.personal)
    registries = all_registries(wanted.registries, found.registries, left)
    waits = docker_must_wait and wanted.mode == "transparent" and "docker" in runtimes
    served = tuple(name for name in registries if not waits or _has_certs(name))
    hints = list(_notes(wanted, facts, runtimes, [r for r in registries if r not in served]))
    has_mirrors = wanted.mode == "mirror" and "podman" in runtimes
    mirrors = mirrored(served, facts) if has_mirrors else ()
    ways = Ways(wanted.mode, served, facts.ipv6, mirrors)
    items = [*_program(wanted, facts, ways), *_trust(facts, ways, runtimes)]
    if wanted.mode == "proxy":
        items += proxy_items(ways, runtimes, facts, hints)
    elif wanted.mode == "mirror":
        items += mirror_items(ways, runtimes, facts, hints)
    items += _units(facts, ways)
    return Desired(tuple(items), ways, runtimes, tuple(hints))


def _has_certs(registry: str) -> bool:
    return is_concrete(registry) and registry != DOCKER_HUB


def _notes(
    wanted: Wanted, facts: Facts, runtimes: tuple[str, ...], left: Sequence[str]
) -> Iterator[str]:
    """What the operator should know. `left`: registries that wait for a restart of docker."""
    if wanted.runtime != "auto" and len(runtimes) > 1:
        yield f"transparent mode serves all runtimes of the node: {', '.join(runtimes)}"
    if left:
        # Docker Hub's certs.d is ignored by dockerd, and a wildcard can have none.
        yield (
            "docker runs containers that a restart would end, and trusts the node's CA only "
            f"after one: until then not optimised: {', '.join(map(image_name, left))}. "
            "After `systemctl restart docker`, run this again"
        )
    for name in facts.found.insecure:
        if name not in wanted.registries:
            yield (
                f"{name} is used without verifying it: left alone "
                f"(--registry {name}, if the node trusts its certificate)"
            )
    for name in facts.found.personal:
        if name not in wanted.registries:
            yield (
                f"{name} is shown a certificate of this node's, whose key the proxy has not: "
                f"left alone (--registry {name}, if it does without)"
            )
    if facts.found.vouching:
        yield (
            "the proxy trusts the authorities in certs.d for every registry, not for their own "
            f"alone: whoever has the keys of {', '.join(facts.found.vouching)}'s can answer for all"
        )
    if facts.rootless and wanted.mode == "transparent":
        yield (
            "users run docker or containerd of their own (rootlesskit), which trust the node's "
            "CA only once they were restarted after this: `systemctl --user restart docker`"
        )
    if facts.proxies and wanted.mode != "proxy":
        files = ", ".join(facts.proxies)
        yield f"{files}: sends pulls through a proxy, past metahub: they are not optimised"


def _program(wanted: Wanted, facts: Facts, ways: Ways) -> Iterator[Item]:
    yield Account(facts.nologin)
    environment = Environment(facts.source, facts.distro.venv_package)
    yield environment
    metahub = environment.folder / "bin" / "metahub"
    if wanted.profile is None:
        yield DetectedProfile(metahub)
    else:
        yield GivenProfile(wanted.profile, wanted.profile_name, metahub)
    yield File(CONFIG_FILE, config_text(ways).encode())
    yield Authority(environment.folder / "bin" / "python", f"metahub on {facts.hostname}"[:64])
    yield Link(CURRENT, facts.source.version)


def _trust(facts: Facts, ways: Ways, runtimes: tuple[str, ...]) -> Iterator[Item]:
    if ways.mode == "mirror":
        if "podman" in runtimes:
            for port in ways.mirror_ports.values():
                yield _certificate(CONTAINERS_CERTS, f"127.0.0.1:{port}")
        return
    if "docker" in runtimes:
        # podman reads the store each time, and a folder of ours in its certs.d would hide
        # docker's, in which it looks next.
        for registry in filter(is_concrete, ways.registries):
            yield _certificate(DOCKER_CERTS, registry)
            if RegistryPattern.parse(registry).port == 443:
                yield _certificate(DOCKER_CERTS, registry.removesuffix(":443"))
    yield TrustStore(facts.distro)


def _certificate(base: PurePosixPath, registry: str) -> Copy:
    return Copy(base / registry / "metahub.crt", CA_CERTIFICATE)


def _units(facts: Facts, ways: Ways) -> Iterator[Item]:
    if ways.layers:
        yield File(TABLE_FILE, table_text(ways).encode())
        yield File(UNITS / FIREWALL, template(f"systemd/{FIREWALL}", NFT=facts.nft).encode())
        for unit in ("multi-user.target", *facts.firewalls):
            yield _enabled(FIREWALL, unit)
    if ways.mode == "transparent":
        yield File(HEARTBEAT_FILE, heartbeat_text().encode())
    yield File(UNITS / SERVICE, template(f"systemd/{SERVICE}").encode())
    if ways.mode in ("transparent", "proxy"):
        text = template(f"systemd/{ways.mode}.conf", NFT=facts.nft)
        yield File(UNITS / f"{SERVICE}.d" / "metahub.conf", text.encode())
    yield _enabled(SERVICE, "multi-user.target")


def _enabled(unit: str, by: str) -> Link:
    """What `systemctl enable` would make; disable would remove folders that are not ours."""
    return Link(UNITS / f"{by}.wants" / unit, f"../{unit}")
