"""The address and the way together; test_hub_request.py has the rules."""

from ipaddress import ip_network

import pytest

from metahub_addon.hub_request import Way
from metahub_addon.web_peer import Peer, read_peer

TRUSTED = (ip_network("192.0.2.10/32"), ip_network("2001:db8::/64"))


@pytest.mark.parametrize(
    ("address", "tls", "local", "private"),
    [
        ("127.0.0.1", False, True, True),
        ("::ffff:198.51.100.7", False, True, True),
        ("198.51.100.7", False, False, False),
        ("198.51.100.7", True, False, True),
        ("192.0.2.10", False, False, False),
        ("no address", False, False, False),
    ],
)
def test_direct(address: str, tls: bool, local: bool, private: bool) -> None:
    peer = read_peer(Way(peer=address, tls=tls, local=local), TRUSTED)
    assert (peer.private, peer.encrypted) == (private, tls)


def forwarded(address: str, proto: str, chain: str = "198.51.100.7", tls: bool = False) -> Peer:
    way = Way(
        peer=address,
        tls=tls,
        local=address.startswith("127."),
        forwarded=True,
        forwarded_for=chain,
        forwarded_proto=proto,
    )
    return read_peer(way, TRUSTED)


@pytest.mark.parametrize("address", ["192.0.2.10", "::ffff:192.0.2.10", "2001:db8::5"])
def test_a_trusted_proxy_is_believed(address: str) -> None:
    expected = Peer(address="198.51.100.7", private=True, encrypted=True)
    assert forwarded(address, "https") == expected
    assert not forwarded(address, "http").private
    assert not forwarded(address, "").private
    # TLS to the proxy says nothing of the way to the browser.
    assert not forwarded(address, "http", tls=True).private


def test_nobody_else_is_believed() -> None:
    peer = forwarded("203.0.113.9", "https", "127.0.0.1")
    assert peer == Peer(address="203.0.113.9", private=False, encrypted=False)


def test_an_unknown_proxy_on_loopback_is_no_loopback_client() -> None:
    assert not forwarded("127.0.0.1", "https").private


def test_what_a_client_writes_in_front_does_not_count() -> None:
    assert forwarded("192.0.2.10", "https", "127.0.0.1, 198.51.100.7").address == "198.51.100.7"
    chain = "198.51.100.7, 192.0.2.10"
    assert forwarded("192.0.2.10", "https", chain).address == "198.51.100.7"
