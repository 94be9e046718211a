"""What a real proxy tells systemd and the firewall, and how it ends if it cannot."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import command_line, free_port, mitmdump

pytestmark = pytest.mark.real


def states(manager: socket.socket, count: int) -> list[str]:
    return [manager.recv(99).decode() for _ in range(count)]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Hold a process up, as a hang would."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while "State:\tT" not in Path(f"/proc/{pid}/status").read_text():
            time.sleep(0.01)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_systemd_hears_that_it_is_ready_and_lives_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
        serving(EmbeddedRegistry()) as registry,
    ):
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
        modes = [f"reverse:http://127.0.0.1:{registry.port}"]
        with mitmdump(tmp_path / "proxy", modes) as proxy:
            assert states(manager, 3) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
            with stopped(proxy.pid):
                manager.setblocking(False)
                with suppress(BlockingIOError):
                    while True:
                        states(manager, 1)
                time.sleep(1.2)
                with pytest.raises(BlockingIOError):
                    manager.recv(99)
            manager.settimeout(20)
            assert states(manager, 1) == ["WATCHDOG=1"]
        last = states(manager, 1)
        while last[-1] == "WATCHDOG=1":
            last += states(manager, 1)
        assert last[-1] == "STOPPING=1"


@pytest.mark.parametrize(
    ("option", "kind"),
    [("metahub_firewall_port", socket.SOCK_DGRAM), ("metahub_relay_port", socket.SOCK_STREAM)],
)
def test_a_taken_port_is_an_error_at_the_start(
    tmp_path: Path, option: str, kind: socket.SocketKind
) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        taken = other.getsockname()[1]
        command = [*command_line(tmp_path), "--set", f"{option}={taken}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert f"{option}: {taken}: [Errno 98] Address already in use" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["metahub_registries=reg.test:x"], "metahub_registries: 'reg.test:x': 'x' is not a port"),
        (["metahub_registries=r:5000", "metahub_layers_port=4999"], "layers ports 4999 to 5000"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start(
    tmp_path: Path, options: list[str], says: str
) -> None:
    command = command_line(tmp_path)
    for option in options:
        command += ["--set", option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert says in done.stdout + done.stderr


def test_without_a_firewall_the_proxy_says_so_and_serves(tmp_path: Path) -> None:
    options = [f"metahub_firewall_port={free_port()}"]
    with mitmdump(tmp_path, ["regular"], options=options) as proxy:
        proxy.wait_for("no firewall rule hears the proxy: pulls may go on without it")
