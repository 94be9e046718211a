"""What must hold before anything is changed; each failure is one line that names it."""

import os
import tempfile

from installer.desired import Desired
from installer.facts import Facts
from installer.items import entry_of
from installer.journal import Journal
from installer.layout import ACCOUNT, CONFIG, FIREWALL_PORT, PROGRAM, SERVICE
from installer.node import Node
from installer.problem import Problem
from installer.texts import table_text


def check_machine(node: Node) -> None:
    """Raises Problem on a machine that can't run the service at all."""
    if not node.path("/run/systemd/system").is_dir():
        raise Problem("systemd does not run here: metahub needs it to start and watch the proxy")
    if not node.which("systemctl"):
        raise Problem("systemctl: not found")


def check_all(node: Node, facts: Facts, desired: Desired, journal: Journal) -> None:
    """Raises Problem for what stands in the way of this installation."""
    _check_programs(node, facts, desired)
    _check_foreign(node, facts, journal)
    _check_ports(facts, desired, journal)
    _check_restart(facts, desired)
    _check_python(node, facts)
    _check_table(node, desired)


def _check_programs(node: Node, facts: Facts, desired: Desired) -> None:
    needed = {"useradd": "", "groupadd": "", "userdel": "", "groupdel": ""}
    if desired.ways.mode != "mirror":
        needed[facts.distro.update[0]] = " (package ca-certificates)"
        needed["nft"] = " (package nftables; --mode mirror does without it)"
    for program, where in needed.items():
        if not node.which(program):
            raise Problem(f"{program}: not found{where}")


def _check_foreign(node: Node, facts: Facts, journal: Journal) -> None:
    if journal.entries:
        return
    for path in (PROGRAM, CONFIG):
        if node.path(path).exists():
            raise Problem(f"{path}: exists, and was not made by this: move it away first")
    _check_account(node)
    if facts.table_loaded:
        raise Problem("nftables has a table `inet metahub` that was not made by this")


def _check_account(node: Node) -> None:
    """Whoever else has our user or group could send heartbeats, and would not be redirected."""
    user, group = entry_of(node.read("/etc/passwd")), entry_of(node.read("/etc/group"))
    if user and not user[-1].endswith(("/nologin", "/false")):
        raise Problem(f"/etc/passwd: {ACCOUNT}: is a user that logs in, and was not made by this")
    if group and group[-1] not in ("", ACCOUNT):
        raise Problem(f"/etc/group: {ACCOUNT}: has members ({group[-1]}): not made by this")


def _check_ports(facts: Facts, desired: Desired, journal: Journal) -> None:
    # The running service holds its own; of another mode's ports we know it as well.
    if journal.entries and SERVICE in facts.active:
        return
    for port in desired.ways.taken:
        if port in facts.tcp:
            raise Problem(f"TCP port {port}: another program listens on it")
    if desired.ways.mode == "transparent" and FIREWALL_PORT in facts.udp:
        raise Problem(f"UDP port {FIREWALL_PORT}: another program uses it")


def _check_restart(facts: Facts, desired: Desired) -> None:
    both = facts.containerd.active and facts.docker.active and desired.ways.mode != "mirror"
    if both and facts.containerd_ends_docker and facts.docker_holds:
        raise Problem(
            "containerd.service has to be restarted, docker.service ends with it, and docker runs "
            "containers: stop them, set live-restore in daemon.json, or take --mode mirror"
        )


def _check_python(node: Node, facts: Facts) -> None:
    real = os.path.realpath(facts.source.python)
    for folder in ("/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"):
        if real.startswith(folder):
            raise Problem(
                f"{real}: the service can't reach a Python in {folder}: "
                "name one of the system's with PYTHON=…"
            )
    if node.run(facts.source.python, "-c", "import ensurepip, venv").code:
        raise Problem(
            f"{facts.source.python}: can't make virtual environments ({facts.distro.venv_package})"
        )


def _check_table(node: Node, desired: Desired) -> None:
    """Let nft itself say whether this kernel takes the table; it changes nothing."""
    if not desired.ways.layers or not node.commands.is_root():
        return
    # The group may not be there yet.
    text = table_text(desired.ways, str(os.getgid()))
    with tempfile.NamedTemporaryFile("w", prefix="metahub-", suffix=".nft") as file:
        file.write(text)
        file.flush()
        done = node.run("nft", "--check", "--file", file.name)
    if done.code:
        said = (done.errors.strip().splitlines() or ["failed"])[0]
        raise Problem(f"nft refuses metahub's table: {said}")
