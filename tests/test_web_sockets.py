import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from metahub_addon import web_sockets
from metahub_addon.web_listen import Listen
from metahub_addon.web_sockets import open_sockets
from support.mitmdump import free_port


@contextmanager
def opened(host: str, port: int) -> Iterator[list[socket.socket]]:
    found = open_sockets(Listen(host, port))
    try:
        yield found
    finally:
        for one in found:
            one.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_is_reached(host: str) -> None:
    port = free_port()
    with opened(host, port), socket.create_connection(("127.0.0.1", port), 5) as client:
        assert client.getpeername()[1] == port


def test_a_taken_port_leaves_none_open() -> None:
    port = free_port()
    with opened("127.0.0.1", port):
        with pytest.raises(OSError, match="in use"):
            open_sockets(Listen("127.0.0.1", port))
        with pytest.raises(OSError, match="in use"):
            open_sockets(Listen("", port))
    with opened("", port):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "999.1.1.1"])
def test_no_address_of_ours(host: str) -> None:
    with pytest.raises(OSError, match=r"assign|not known|resol"):
        open_sockets(Listen(host, free_port()))


def test_a_host_with_one_family_only(monkeypatch: pytest.MonkeyPatch) -> None:
    open_one = web_sockets._open

    def without_ipv6(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported")
        return open_one(family, address)

    monkeypatch.setattr(web_sockets, "_open", without_ipv6)
    with opened("", free_port()) as found:
        assert [one.family for one in found] == [socket.AF_INET]
    with pytest.raises(OSError, match="not supported"):
        open_sockets(Listen("::1", free_port()))


def test_the_first_is_closed_if_the_second_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []
    open_one = web_sockets._open

    def once(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
        if made:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        made.append(open_one(family, address))
        return made[0]

    monkeypatch.setattr(web_sockets, "_open", once)
    with pytest.raises(OSError, match="in use"):
        open_sockets(Listen("", free_port()))
    assert made[0].fileno() == -1


def test_a_name_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_sockets, "_addresses", lambda listen: [])
    with pytest.raises(OSError, match="no address"):
        open_sockets(Listen("x", 1))
