"""Stops the service without cutting a pull: first no new connections, then time for the rest.

A program of its own, which systemd runs as root (ExecStop=) before it ends the proxy.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

SECONDS = 20.0
INTERVAL = 0.25
_PORTS = frozenset((18081, 18082, 18084, *range(20443, 20443 + 64)))
_ESTABLISHED = "01"
_STEPS = ("flush chain inet metahub heartbeat", "flush set inet metahub alive")


def connections(lines: Iterable[str], ports: frozenset[int]) -> int:
    """How many connections to some local ports a table of the kernel (/proc/net/tcp) shows."""
    count = 0
    for line in lines:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _ESTABLISHED:
            count += int(fields[1].rpartition(":")[2], 16) in ports
    return count


def held() -> int:
    """How many connections the proxy's clients hold now."""
    tables = [Path(f"/proc/net/tcp{version}") for version in ("", "6")]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()]
    return connections(lines, _PORTS)


def wait(
    count: Callable[[], int], alive: Callable[[], bool], seconds: float, pause: Callable[[], None]
) -> int:
    """Wait until nobody is connected, the proxy has ended, or the time is over; who is left."""
    end = time.monotonic() + seconds
    while (left := count()) and alive() and time.monotonic() < end:
        pause()
    return left


def end_redirect() -> None:
    """Let no heartbeat count any more, and forget the last ones."""
    if not Path("/etc/metahub/heartbeat.nft").exists():
        return
    for step in _STEPS:
        # Without the table there is no redirect to end: then nft says so, and it is right.
        subprocess.run(["nft", *step.split()], stderr=subprocess.DEVNULL, check=False)


def is_running(process: str) -> bool:
    """True while the proxy's process (systemd's $MAINPID) is there."""
    return bool(process) and Path(f"/proc/{process}").exists()


def main() -> int:
    """Drain; says how many connections were left."""
    end_redirect()
    process = os.environ.get("MAINPID", "")
    left = wait(held, lambda: is_running(process), SECONDS, lambda: time.sleep(INTERVAL))
    if left:
        sys.stderr.write(f"metahub: {left} connections were still open after {SECONDS:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
