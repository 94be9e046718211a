"""With real sockets on loopback, 127.0.0.1 and its neighbours, and names made up here."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from metahub_addon import reachability
from metahub_addon.reachability import Reachability, look_up
from support.fake_timer import FakeTimer
from support.mitmdump import free_port

DEAD, ALIVE, OTHER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
NAME = "reg.test"


class Net:
    """Listeners on one port, and the addresses of names."""

    def __init__(self, sockets: ExitStack) -> None:
        self.port = free_port()
        self.names: dict[str, list[str]] = {}
        self._sockets = sockets
        self._listeners: dict[str, socket.socket] = {}

    def listen(self, *addresses: str) -> None:
        for address in addresses:
            listener = socket.create_server((address, self.port))
            self._listeners[address] = self._sockets.enter_context(listener)

    def close(self, address: str) -> None:
        self._listeners.pop(address).close()

    def fall_silent(self, address: str) -> None:
        """Be an address that answers no more: the queue of connections is full."""
        listener = self._sockets.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, self.port))
        listener.listen(0)
        for _ in range(4):
            waiting = self._sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, self.port))

    async def getaddrinfo(self, host: str, port: int, **_: Any) -> list[Any]:
        if host not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in self.names[host]]


@pytest.fixture
def sockets() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def net(sockets: ExitStack, monkeypatch: pytest.MonkeyPatch) -> Net:
    made = Net(sockets)
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", made.getaddrinfo)
    return made


@pytest.fixture
def timer() -> FakeTimer:
    return FakeTimer()


@pytest.fixture
def known(timer: FakeTimer) -> Reachability:
    return Reachability(timer)


@pytest.mark.parametrize("name", [NAME, "", ALIVE, "unknown.test"])
async def test_an_address_that_answers_is_taken_as_it_is(
    net: Net, known: Reachability, name: str
) -> None:
    """Whatever else the name leads to: it is the client's choice."""
    net.listen(ALIVE, OTHER)
    net.names[NAME] = [OTHER]
    assert await known.address_for(ALIVE, net.port, name) == ALIVE


async def test_where_it_refuses_another_address_of_the_name_is_taken(
    net: Net, known: Reachability
) -> None:
    net.listen(ALIVE)
    net.names[NAME] = [DEAD, ALIVE]
    assert await known.address_for(DEAD, net.port, NAME) == ALIVE


async def test_where_it_says_nothing_another_address_of_the_name_is_taken(
    net: Net, known: Reachability, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the name's first address is the same one, which will not answer either."""
    monkeypatch.setattr(reachability, "_SECONDS", 0.1)
    net.fall_silent(DEAD)
    net.listen(ALIVE)
    net.names[NAME] = [DEAD, ALIVE]
    assert await known.address_for(DEAD, net.port, NAME) == ALIVE


@pytest.mark.parametrize("name", ["", DEAD])
async def test_without_a_name_there_is_no_other_address(
    net: Net, known: Reachability, name: str
) -> None:
    """What somebody else's name led to from here must not serve those who say none."""
    net.listen(ALIVE)
    net.names[NAME] = [ALIVE]
    assert await known.address_for(DEAD, net.port, NAME) == ALIVE
    with pytest.raises(ConnectionRefusedError):
        await known.address_for(DEAD, net.port, name)


async def test_one_names_other_address_is_not_anothers(net: Net, known: Reachability) -> None:
    net.listen(ALIVE, OTHER)
    net.names |= {"evil.test": [OTHER], NAME: [DEAD, ALIVE]}
    assert await known.address_for(DEAD, net.port, "evil.test") == OTHER
    assert await known.address_for(DEAD, net.port, NAME) == ALIVE


async def test_if_none_answers_that_is_an_error(net: Net, known: Reachability) -> None:
    net.names[NAME] = [DEAD, ALIVE]
    for name in (NAME, "unknown.test"):
        with pytest.raises(OSError, match=r"refused|failed|not known"):
            await known.address_for(DEAD, net.port, name)


async def test_if_all_are_silent_that_ends_in_time(
    net: Net, known: Reachability, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reachability, "_SECONDS", 0.1)
    monkeypatch.setattr(reachability, "_SECONDS_FOR_ALL", 0.1)
    net.fall_silent(DEAD)
    net.names[NAME] = [DEAD]
    with pytest.raises(TimeoutError):
        await known.address_for(DEAD, net.port, NAME)


@pytest.mark.parametrize("name", [f"{'a' * 64}.test", "a..test", "\udce9.test"])
async def test_a_name_that_no_host_can_have_is_such_an_error(
    known: Reachability, name: str
) -> None:
    """A client may say any in TLS; here the system's own look-up judges."""
    with pytest.raises(OSError):  # noqa: PT011 - whatever it says
        await known.address_for(DEAD, free_port(), name)


async def test_what_was_found_is_known_for_a_minute(
    net: Net, known: Reachability, timer: FakeTimer
) -> None:
    net.listen(ALIVE)
    net.names[NAME] = [ALIVE]
    await known.address_for(DEAD, net.port, NAME)
    net.close(ALIVE)
    timer.wait(59)
    assert await known.address_for(DEAD, net.port, NAME) == ALIVE
    timer.wait(2)
    with pytest.raises(OSError, match=r"refused|failed"):
        await known.address_for(DEAD, net.port, NAME)


async def test_a_failure_is_not_kept(net: Net, known: Reachability) -> None:
    net.names[NAME] = [DEAD]
    with pytest.raises(OSError, match=r"refused|failed"):
        await known.address_for(DEAD, net.port, NAME)
    net.listen(DEAD)
    assert await known.address_for(DEAD, net.port, NAME) == DEAD


async def test_what_failed_since_is_forgotten_for_all_it_was_found_for(
    net: Net, known: Reachability
) -> None:
    net.listen(ALIVE)
    net.names |= {NAME: [ALIVE], "mirror.test": [ALIVE]}
    for name in net.names:
        assert await known.address_for(DEAD, net.port, name) == ALIVE
    net.close(ALIVE)
    net.listen(OTHER)
    net.names |= {NAME: [ALIVE, OTHER], "mirror.test": [OTHER]}
    known.forget(DEAD, net.port)
    known.forget(ALIVE, net.port + 1)
    assert await known.address_for(DEAD, net.port, NAME) == ALIVE, "not that one"
    known.forget(ALIVE, net.port)
    for name in net.names:
        assert await known.address_for(DEAD, net.port, name) == OTHER


async def test_the_addresses_of_a_name(net: Net) -> None:
    net.names[NAME] = [ALIVE, "2001:db8::1"]
    assert await look_up(NAME, 443) == [ALIVE, "2001:db8::1"]
    assert await look_up("unknown.test", 443) == []


@pytest.mark.parametrize("name", [f"{'a' * 64}.test", "a..test", "\udce9.test"])
async def test_a_name_that_no_host_can_have_has_none(name: str) -> None:
    assert await look_up(name, 443) == []


async def test_a_look_up_that_takes_too_long(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", hang)
    assert await look_up(NAME, 443, 0.05) == []
