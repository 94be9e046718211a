"""Looks at the node, once, before anything is planned."""

import hashlib
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from installer.distro import find_distro
from installer.documents import read_json
from installer.edits import without
from installer.facts import Facts, Source
from installer.found import find_registries
from installer.layout import CONTAINERD_CONFIG, DOCKER_CONFIG, FIREWALL, SERVICE, UNITS
from installer.node import Node
from installer.program import PROGRAMS
from installer.runtimes import (
    containerd_major,
    containers_held,
    docker_flags,
    ends_with_containerd,
    find_daemon,
    has_engine_environment,
    has_rootless,
    is_active,
    other_proxies,
    user_hosts,
)

_PROGRAMS = {"docker": "dockerd", "containerd": "containerd", "podman": "podman"}
_LISTENING = "0A"
_OTHERS = (
    "crio.service",
    "k3s.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "buildkit.service",
    "buildkitd.service",
)


def find_source(folder: Path, version: str, python: str) -> Source:
    """A checkout; its version is followed by a hash of all that is installed of it."""
    real = os.path.realpath(python)
    digest = hashlib.sha256(f"{sys.version_info[:2]} {real}".encode())
    files = [folder / name for name in ("setup.cfg", "pyproject.toml")]
    files += sorted((folder / "metahub_addon").rglob("*.py"))
    files += [folder / "scripts" / "installer" / name for name in PROGRAMS]
    for file in files:
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return Source(folder, f"{version}-{digest.hexdigest()[:12]}", python)


def find_facts(node: Node, source: Source, ours: Mapping[str, str], due: dict[str, float]) -> Facts:
    """Look at the node; raises Problem where it can't be served at all.

    `ours` are the paths that an earlier installation made, and what it put into those that
    are a user's: it is not looked at, so that the same node and options give the same plan.
    """
    runtimes = frozenset(name for name, program in _PROGRAMS.items() if node.which(program))
    docker, containerd = find_daemon(node, "docker"), find_daemon(node, "containerd")
    read_json(node, DOCKER_CONFIG)
    return Facts(
        distro=find_distro(node.read("/etc/os-release") or node.read("/usr/lib/os-release")),
        source=source,
        hostname=node.read("/etc/hostname").strip() or socket.gethostname(),
        nft=node.which("nft"),
        nologin=node.which("nologin") or "/usr/sbin/nologin",
        runtimes=runtimes,
        docker=docker,
        containerd=containerd,
        docker_holds=containers_held(node) if docker.active else 0,
        containerd_ends_docker=ends_with_containerd(node),
        containerd_major=containerd_major(node) if "containerd" in runtimes else 1,
        found=find_registries(node, ours),
        docker_config=_user_text(node, DOCKER_CONFIG, ours),
        docker_flags=docker_flags(node) if "docker" in runtimes else "",
        containerd_config=_user_text(node, CONTAINERD_CONFIG, ours),
        hosts=user_hosts(node, ours),
        proxies=other_proxies(node, ours),
        engine_environment=has_engine_environment(node),
        rootless=has_rootless(node),
        ipv6=" lo" in "".join(_lines_with(node.read("/proc/net/if_inet6"), f"{1:032x}")),
        others=tuple(unit for unit in _OTHERS if is_active(node, unit)),
        firewalls=tuple(u for u in ("nftables.service", "firewalld.service") if _has(node, u)),
        active=frozenset(unit for unit in (SERVICE, FIREWALL) if is_active(node, unit)),
        table_loaded=node.run("nft", "list", "table", "inet", "metahub").code == 0,
        tcp=_ports(node, "tcp", _LISTENING),
        udp=_ports(node, "udp", "07"),
        due=due,
    )


def _user_text(node: Node, path: PurePosixPath, ours: Mapping[str, str]) -> str:
    text = node.read(path)
    rest = without(str(path), text, ours[str(path)]) if str(path) in ours and text else None
    return text if rest is None else rest


def _has(node: Node, unit: str) -> bool:
    folders = ("/usr/lib/systemd/system", "/lib/systemd/system", str(UNITS))
    return any(node.path(f"{folder}/{unit}").exists() for folder in folders)


def _lines_with(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


def _ports(node: Node, protocol: str, state: str) -> frozenset[int]:
    """The local ports of sockets in a state, from the kernel's tables."""
    found = set()
    for version in ("", "6"):
        for line in node.read(f"/proc/net/{protocol}{version}").splitlines()[1:]:
            fields = line.split()
            if fields[3] == state:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return frozenset(found)
