"""How the container runtimes of a node are set up, and what a restart of one would end."""

import contextlib
import os
import re
import time
from collections.abc import Collection
from pathlib import PurePosixPath

from installer.edits import hosts_folder
from installer.facts import Daemon
from installer.layout import CONTAINERD_CERTS, CONTAINERD_CONFIG, PODMAN_ENGINE, UNITS
from installer.node import Node
from installer.problem import Problem

# Of this node, whatever root's own settings say.
_LOCAL = {"DOCKER_HOST": "", "DOCKER_CONTEXT": "default"}


def find_daemon(node: Node, unit: str) -> Daemon:
    """A runtime's service, and since when its process runs."""
    if not is_active(node, f"{unit}.service"):
        return Daemon()
    pid = _show(node, f"{unit}.service", "MainPID")
    status, uptime = node.read(f"/proc/{pid}/stat"), node.read("/proc/uptime").split()
    if not status or not uptime:
        return Daemon(active=True)
    ticks = int(status.rpartition(")")[2].split()[19])
    age = float(uptime[0]) - ticks / os.sysconf("SC_CLK_TCK")
    return Daemon(True, time.time() - age)


def containers_held(node: Node) -> int:
    """How many containers end with dockerd; -1 if it does not say."""
    wanted = "{{.LiveRestoreEnabled}} {{.ContainersRunning}}"
    answer = node.run("docker", "info", "--format", wanted, **_LOCAL)
    match answer.output.split():
        case ["true", _]:
            return 0
        case ["false", running] if running.isdecimal():
            return int(running)
        case _:
            return -1


def ends_with_containerd(node: Node) -> bool:
    """True if systemd stops dockerd when containerd is stopped."""
    needed = {
        unit
        for name in ("Requires", "BindsTo", "PartOf", "Requisite")
        for unit in _show(node, "docker.service", name).split()
    }
    return "containerd.service" in needed


def containerd_major(node: Node) -> int:
    found = re.search(r"\bv?(\d+)\.\d+\.\d+", node.run("containerd", "--version").output)
    return int(found[1]) if found else 1


def docker_flags(node: Node) -> str:
    """dockerd's command line, from its unit and the files that add to it."""
    files = ("/etc/default/docker", "/etc/sysconfig/docker")
    # Comments show options that are not in force.
    lines = [line for name in files for line in node.read(name).splitlines() if line[:1] != "#"]
    return "\n".join([_show(node, "docker.service", "ExecStart"), *lines])


def user_hosts(node: Node, ours: Collection[str]) -> tuple[str, ...]:
    """The registries whose hosts.toml, of containerd, is the user's; `_default` among them."""
    try:
        folder = hosts_folder(node.read(CONTAINERD_CONFIG)) or CONTAINERD_CERTS
    except Problem:
        return ()  # said where it matters
    names = [path.parent.name for path in sorted(node.path(folder).glob("*/hosts.toml"))]
    return tuple(name for name in names if f"{folder}/{name}/hosts.toml" not in ours)


def other_proxies(node: Node, ours: Collection[str]) -> tuple[str, ...]:
    """Files that send a runtime through another proxy already."""
    files = []
    for unit in ("docker", "containerd"):
        for base in (str(UNITS), "/usr/lib/systemd/system", "/lib/systemd/system"):
            folder = f"{base}/{unit}.service.d"
            names = sorted(node.path(folder).glob("*.conf"))
            files += [f"{folder}/{file.name}" for file in names]
    return tuple(
        dict.fromkeys(
            file
            for file in files
            if file not in ours and re.search(r"https_proxy\s*=", node.read(file), re.IGNORECASE)
        )
    )


def has_engine_environment(node: Node) -> bool:
    """True if a configuration of podman's sets variables, which ours would replace."""
    folder = PurePosixPath("/etc/containers")
    drop_ins = sorted(node.path(folder / "containers.conf.d").glob("*.conf"))
    files = [folder / "containers.conf.d" / file.name for file in drop_ins]
    files = [folder / "containers.conf", *files]
    texts = [node.read(file) for file in files if file != PODMAN_ENGINE]
    return any(re.search(r"^\s*env\s*=", text, re.MULTILINE) for text in texts)


def has_rootless(node: Node) -> bool:
    """True if a user runs a docker or containerd of his own."""
    for file in node.path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it may have ended
            if file.read_bytes().strip() == b"rootlesskit":
                return True
    return False


def is_active(node: Node, unit: str) -> bool:
    """True if systemd says that a unit is up."""
    return node.run("systemctl", "is-active", "--quiet", unit).code == 0


def _show(node: Node, unit: str, name: str) -> str:
    return node.run("systemctl", "show", "--value", f"--property={name}", unit).output.strip()
