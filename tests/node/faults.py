"""Scenarios in which the proxy is stopped, restarted, upgraded or loses its firewall rules."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from node.far import REGISTRY, wait_for
from node.operated import (
    UNIT,
    Operated,
    is_stopped,
    main_pid,
    redirected_ports,
    ruleset,
    send,
    wait_until_healthy,
)
from node.runtimes import Containerd, Runtime, must, reference, run, runtimes

Pulls = list[dict[str, Any]]


def stop_the_process(node: Operated) -> dict[str, Any]:
    """SIGSTOP: pulls before the kernel's time-out, after it, and after the restart.

    Between the two times are some seconds: on a machine that is too busy then, once more.
    """
    for _ in range(3):
        found = _stop_the_process(node)
        if found["still stopped then"]:
            break
    return {**found, "then": [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()]}


def _stop_the_process(node: Operated) -> dict[str, Any]:
    ctr, began = Containerd(), time.monotonic()
    ctr.forget(reference(REGISTRY, "list"))
    stopped = send(signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        at_once = pool.submit(node.pull, ctr, REGISTRY, "oci")
        wait_for("the end of the redirect", lambda: not redirected_ports())
        undirected = time.monotonic() - began
        direct = node.pull(ctr, REGISTRY, "list")
        in_time = is_stopped(stopped)
        first = at_once.result()
    wait_for("another process", lambda: main_pid() not in (0, stopped), 60)
    wait_until_healthy(443)
    return {
        "at once": first,
        "at once again": node.pull(ctr, REGISTRY, "oci"),
        "redirect ended after": round(undirected, 1),
        "direct": direct,
        "still stopped then": in_time,
        "healthy after": round(time.monotonic() - began, 1),
    }


def pull_all_the_time(node: Operated, act: Callable[[], object]) -> Pulls:
    """All pulls, by each runtime one after the other, while something is done."""
    over = threading.Event()
    found: Pulls = []

    def loop(runtime: Runtime) -> None:
        while not over.is_set():
            found.append({"runtime": runtime.name, **node.pull(runtime, REGISTRY, "list")})

    threads = [threading.Thread(target=loop, args=(rt,)) for rt in runtimes()]
    for thread in threads:
        thread.start()
    try:
        wait_for("pulls", lambda: len(found) >= len(threads))
        act()
        reached = len(found)
        wait_for("pulls afterwards", lambda: len(found) >= reached + 2 * len(threads), 60)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return found


def restart(node: Operated) -> Pulls:
    """`systemctl restart` while pulls go on."""
    return pull_all_the_time(node, lambda: must("systemctl", "restart", UNIT))


def upgrade(node: Operated, options: Sequence[str]) -> dict[str, Any]:
    """Install the next version over the running one while pulls go on."""
    before, outcome = main_pid(), []
    node.version = "next"
    pulls = pull_all_the_time(node, lambda: outcome.append(node.install(*options)))
    wait_until_healthy(443)
    return {
        "pulls": pulls,
        "install": [outcome[0].status, outcome[0].output],
        "another process": main_pid() not in (0, before),
        "then": [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()],
    }


def stop_and_start(node: Operated) -> dict[str, Any]:
    """`systemctl stop`: no redirect is left, and pulls go on."""
    pulls = pull_all_the_time(node, lambda: must("systemctl", "stop", UNIT))
    found = {
        "while stopping": pulls,
        "redirected": redirected_ports(),
        "stopped": [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()],
    }
    must("systemctl", "start", UNIT)
    wait_until_healthy(443)
    return {**found, "started": [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()]}


def flush(node: Operated) -> dict[str, Any]:
    """Another service flushes the whole ruleset, as Debian's nftables.service does."""
    before = ruleset()
    must("systemctl", "restart", "nftables")
    wait_until_healthy(443)
    pulls = [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()]
    return {"pulls": pulls, "tables": [tables(before), tables(ruleset())]}


def crowded_ports() -> dict[str, int]:
    """Connections for layers from ports that others to the same host have just had.

    The kernel gives a port anew for another port of the host, although the firewall sends
    both to one: a reply must not end at the other's socket, which lingers in TIME_WAIT.
    """
    ports = Path("/proc/sys/net/ipv4/ip_local_port_range")
    kept = ports.read_text()
    ports.write_text("50000 50199")
    try:
        for _ in range(120):
            socket.create_connection((REGISTRY, 443), 5).close()
        return {"tried": 20, "connected": sum(_connects(REGISTRY, 17443) for _ in range(20))}
    finally:
        ports.write_text(kept)


def _connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), 3).close()
    except TimeoutError:
        return False
    return True


def tables(rules: str) -> list[str]:
    """The names of the tables in a ruleset, sorted."""
    return sorted(line for line in rules.splitlines() if line.startswith("table "))


def journal() -> str:
    """What the service has logged."""
    return run("journalctl", "--no-pager", "--unit", UNIT).output


def counts() -> list[str]:
    """What the proxy said that it has done, each time that it ended."""
    return [line for line in journal().splitlines() if "] metahub: " in line]
