"""What an installation must know of the node."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from installer.distro import Distro
from installer.found import Found

_NOTHING = Found()


@dataclass(frozen=True, slots=True)
class Daemon:
    """A runtime's service. `started`: seconds since the epoch."""

    active: bool = False
    started: float = 0.0


_STOPPED = Daemon()


@dataclass(frozen=True, slots=True)
class Source:
    """The checkout that is installed, and the Python that runs it."""

    folder: Path
    version: str
    python: str
    python_version: tuple[int, int] = (sys.version_info.major, sys.version_info.minor)


@dataclass(frozen=True, slots=True)
class Facts:
    """The node, as far as an installation must know it."""

    distro: Distro
    source: Source
    hostname: str = "node"
    nft: str = "/usr/sbin/nft"
    nologin: str = "/usr/sbin/nologin"
    runtimes: frozenset[str] = frozenset()
    docker: Daemon = _STOPPED
    containerd: Daemon = _STOPPED
    # Containers that a restart of dockerd would end.
    docker_holds: int = 0
    containerd_ends_docker: bool = False
    containerd_major: int = 1
    found: Found = _NOTHING
    docker_config: str = ""
    docker_flags: str = ""
    containerd_config: str = ""
    # Registries, or _default, with a hosts.toml of the user's.
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    engine_environment: bool = False
    ipv6: bool = True
    # A user's own runtimes, which nobody here can restart.
    rootless: bool = False
    # Other daemons that pull by themselves.
    others: tuple[str, ...] = ()
    firewalls: tuple[str, ...] = ()
    active: frozenset[str] = frozenset()
    table_loaded: bool = False
    tcp: frozenset[int] = frozenset()
    udp: frozenset[int] = frozenset()
    # Since when a runtime has to be restarted, by an earlier installation.
    due: dict[str, float] = field(default_factory=dict)
