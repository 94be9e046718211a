"""What needs no root; integration/test_firewall.py has the rules, too."""

import errno
import socket
from collections.abc import Iterator

import pytest

from metahub_addon.firewall import Firewall
from support.mitmdump import free_port


@pytest.fixture
def firewall() -> Iterator[Firewall]:
    sender = Firewall(free_port())
    yield sender
    sender.close()


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(5)
        yield listener


def test_a_beat_is_an_empty_packet_from_the_port(receiver: socket.socket) -> None:
    port = free_port()
    firewall = Firewall(port)
    try:
        # It arrives: no rule has taken it.
        assert firewall.beat(receiver.getsockname()[1]) is False
    finally:
        firewall.close()
    assert receiver.recvfrom(99) == (b"", ("127.0.0.1", port))


def test_a_beat_that_nobody_receives_is_not_heard(firewall: Firewall) -> None:
    port = free_port()
    assert [firewall.beat(port) for _ in range(3)] == [False] * 3


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_an_address_that_no_rule_takes(firewall: Firewall, address: str) -> None:
    assert firewall.let_past(address) is False


def test_a_packet_that_the_kernel_forbids_is_heard(firewall: Firewall) -> None:
    """A dropping rule and a broadcast unasked for show in the same way (and only lo sees it)."""
    assert firewall.let_past("127.255.255.255") is True


def test_how_long_an_address_is_let_past_is_told_by_the_port(
    firewall: Firewall, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ports that the rules tell apart (below 1024, so not for a test to listen on)."""
    sent: list[tuple[str, int]] = []
    monkeypatch.setattr(Firewall, "_send", lambda _, *to: sent.append(to))
    firewall.let_past("192.0.2.1")
    firewall.let_past("192.0.2.2", briefly=True)
    assert sent == [("192.0.2.1", 9), ("192.0.2.2", 10)]


def test_what_cannot_be_sent_is_not_heard(firewall: Firewall) -> None:
    assert firewall.beat(0) is False


def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        with pytest.raises(OSError, match="in use"):
            Firewall(other.getsockname()[1])


def test_a_port_that_is_taken_by_ipv6_only_leaves_nothing_open() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            Firewall(port)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("", port))


def test_after_its_end_nothing_is_sent(receiver: socket.socket) -> None:
    firewall = Firewall(free_port())
    firewall.close()
    firewall.close()
    assert firewall.beat(receiver.getsockname()[1]) is False


def without(monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily) -> None:
    """Be a kernel that does not know a family of addresses."""

    class Socket(socket.socket):
        def __init__(self, asked: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> None:
            if asked == family:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(asked, kind)

    monkeypatch.setattr(socket, "socket", Socket)


def test_a_kernel_without_ipv6(monkeypatch: pytest.MonkeyPatch, receiver: socket.socket) -> None:
    port = free_port()
    without(monkeypatch, socket.AF_INET6)
    firewall = Firewall(port)
    try:
        assert firewall.let_past("::1") is False
        firewall.beat(receiver.getsockname()[1])
    finally:
        firewall.close()
    assert receiver.recv(99) == b""


def test_a_kernel_without_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    without(monkeypatch, socket.AF_INET)
    with pytest.raises(OSError, match="not supported"):
        Firewall(port)
