import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metahub_addon.service_manager import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        yield listener


@contextmanager
def told(path: str) -> Iterator[ServiceManager]:
    manager = ServiceManager(path)
    try:
        yield manager
    finally:
        manager.close()


def test_states_arrive_in_their_order(manager: socket.socket) -> None:
    states = ["READY=1", "WATCHDOG=1", "STATUS=größe"]
    with told(manager.getsockname()) as service_manager:
        for state in states:
            service_manager.say(state)
    assert [manager.recv(99).decode() for _ in states] == states


def test_an_abstract_socket(request: pytest.FixtureRequest) -> None:
    name = f"metahub-{id(request)}"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener,
        told(f"@{name}") as service_manager,
    ):
        listener.bind(f"\0{name}")
        listener.settimeout(5)
        service_manager.say("READY=1")
        assert listener.recv(99) == b"READY=1"


def test_nobody_listens() -> None:
    with told("") as service_manager:
        service_manager.say("READY=1")


def test_a_socket_that_is_there_no_more(tmp_path: Path) -> None:
    with told(str(tmp_path / "gone")) as service_manager, pytest.raises(FileNotFoundError):
        service_manager.say("READY=1")


def test_who_does_not_read_holds_nobody_up(manager: socket.socket) -> None:
    def say_much(service_manager: ServiceManager) -> None:
        for _ in range(10_000):
            service_manager.say("WATCHDOG=1")

    with told(manager.getsockname()) as service_manager, pytest.raises(BlockingIOError):
        say_much(service_manager)


def test_after_the_end_nothing_is_said(manager: socket.socket) -> None:
    with told(manager.getsockname()) as service_manager:
        service_manager.close()
        service_manager.say("READY=1")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(99)
