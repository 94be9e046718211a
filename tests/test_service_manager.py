import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from metahub_addon.service_manager import notify


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


def test_states_arrive_in_their_order(manager: socket.socket) -> None:
    states = ["READY=1", "WATCHDOG=1", "STATUS=größe"]
    for state in states:
        notify(manager.getsockname(), state)
    assert [manager.recv(99).decode() for _ in states] == states


def test_an_abstract_socket(request: pytest.FixtureRequest) -> None:
    name = f"metahub-{id(request)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        notify(f"@{name}", "READY=1")
        assert listener.recv(99) == b"READY=1"


def test_nobody_listens() -> None:
    notify("", "READY=1")


def test_a_socket_that_is_there_no_more(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        notify(str(tmp_path / "gone"), "READY=1")
