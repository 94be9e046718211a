import socket

import pytest

from metahub_addon.own_addresses import is_own_address


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.77", False),
        ("2001:db8::77", False),
        ("::ffff:192.0.2.77", False),
        ("fe80::77%lo", False),
    ],
)
def test_is_own_address(address: str, own: bool) -> None:
    assert is_own_address(address) is own
    assert is_own_address(address) is own, "and as it was remembered"


def test_that_any_address_can_be_bound_to_makes_none_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with the sysctl net.ipv4.ip_nonlocal_bind, which load balancers' hosts set."""

    class Socket(socket.socket):
        def bind(self, _: object) -> None:
            pass

    monkeypatch.setattr(socket, "socket", Socket)
    assert is_own_address("192.0.2.78") is False
    assert is_own_address("2001:db8::78") is False
