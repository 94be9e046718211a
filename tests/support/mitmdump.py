"""A real mitmdump with the addon, for as long as a `with` lasts."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ADDON = Path(__file__).resolve().parents[2] / "metahub_addon" / "addon.py"


@dataclass(frozen=True)
class Mitmdump:
    """A running proxy: the ports of its modes in their order, and its log."""

    ports: tuple[int, ...]
    log_file: Path
    pid: int

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def wait_for(self, text: str, seconds: float = 10) -> str:
        """The log, as soon as it holds a text; fails after some seconds."""
        end = time.monotonic() + seconds
        while text not in self.log:
            assert time.monotonic() < end, f"{text!r} not in the log:\n{self.log}"
            time.sleep(0.02)
        return self.log

    def peak_memory_mib(self) -> float:
        """The largest resident size so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command_line(confdir: Path) -> list[str]:
    """mitmdump with the addon, on a free port unless a mode is added."""
    command = [str(Path(sys.executable).parent / "mitmdump"), "-s", str(ADDON)]
    command += ["--set", f"confdir={confdir}", "--set", "termlog_verbosity=debug"]
    return [*command, "--set", "flow_detail=0", "--set", "listen_port=0"]


@contextmanager
def mitmdump(
    folder: Path, modes: Sequence[str], profile: Path | None = None, options: Sequence[str] = ()
) -> Iterator[Mitmdump]:
    """Run mitmdump in `modes` (`regular`, `reverse:http://…`) on ports of its own.

    Raises AssertionError with its log if it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ports = tuple(free_port() for _ in modes)
    command = command_line(folder)
    if profile:
        command += ["--set", f"metahub_profile={profile}"]
    for option in options:
        command += ["--set", option]
    for mode, port in zip(modes, ports, strict=True):
        command += ["--mode", f"{mode}@127.0.0.1:{port}"]
    log_file = folder / "mitmdump.log"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    running = Mitmdump(ports, log_file, process.pid)
    try:
        _wait_until_up(process, running)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_up(process: "subprocess.Popen[bytes]", running: Mitmdump) -> None:
    end = time.monotonic() + 30
    for port in running.ports:
        while True:
            assert process.poll() is None, f"mitmdump ended:\n{running.log}"
            assert time.monotonic() < end, f"mitmdump is not up:\n{running.log}"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
