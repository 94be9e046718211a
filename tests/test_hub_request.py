import base64
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.hub_request import (
    BasicLogin,
    Way,
    basic_login,
    client_address,
    is_encrypted,
    is_private_way,
    is_within,
)

Networks = tuple[IPv4Network | IPv6Network, ...]
PROXIES: Networks = (ip_network("192.0.2.0/28"), ip_network("2001:db8:1::/48"))
PROXY, PROXY_6, CLIENT, OTHER = "192.0.2.10", "2001:db8:1::1", "198.51.100.7", "203.0.113.9"


def basic(text: str | bytes, scheme: str = "Basic") -> str:
    raw = text if isinstance(text, bytes) else text.encode()
    return f"{scheme} {base64.b64encode(raw).decode()}"


@pytest.mark.parametrize(
    ("header", "user", "password"),
    [
        (basic("qnib-type1:secret"), "qnib-type1", "secret"),
        (basic("qnib:a:b:c"), "qnib", "a:b:c"),
        (basic("qnib/cpu#zen2:"), "qnib/cpu#zen2", ""),
        (basic("größe:schlüssel"), "größe", "schlüssel"),
        (basic("a:b", "bAsIc") + " ", "a", "b"),
    ],
)
def test_a_login(header: str, user: str, password: str) -> None:
    assert basic_login(header) == BasicLogin(user, password)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic größe",
        "Basic YTpi\udcff",
        "Bearer YTpi",
        basic("nocolon"),
        basic(":nouser"),
        basic(b"\xff:x"),
        basic("a:b") + ", " + basic("a:b"),
        basic("a:" + "x" * 4096),
    ],
)
def test_no_login(header: str) -> None:
    assert basic_login(header) is None


@given(st.text(st.characters()))
def test_no_header_breaks_it(header: str) -> None:
    found = basic_login(header)
    assert found is None or (found.user and ":" not in found.user)


@given(st.text(min_size=1).filter(lambda user: ":" not in user), st.text())
def test_what_was_sent_is_read(user: str, password: str) -> None:
    header = basic(f"{user}:{password}")
    if len(header) <= 4096:
        assert basic_login(header) == BasicLogin(user, password)


def test_a_login_hides_its_password() -> None:
    assert repr(BasicLogin("qnib", "secret")) == "BasicLogin(user='qnib')"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        (CLIENT, "", CLIENT),
        (CLIENT, OTHER, CLIENT),
        (PROXY, "", PROXY),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"{OTHER}, {CLIENT}", CLIENT),
        (PROXY, f"{OTHER},{CLIENT}, 192.0.2.11", CLIENT),
        (PROXY, f"{OTHER},{CLIENT},{PROXY_6}", CLIENT),
        (f"::ffff:{PROXY}", f"::ffff:{CLIENT}", CLIENT),
        (PROXY, "2001:DB8:2::0001", "2001:db8:2::1"),
        (PROXY, f"{CLIENT}, unknown", PROXY),
        (PROXY, f"{CLIENT}, {OTHER}:4711", PROXY),
        (PROXY, f"{CLIENT}, unknown, 192.0.2.11", "192.0.2.11"),
        (PROXY, ",,", PROXY),
        ("/run/hub.sock", CLIENT, ""),
        ("", CLIENT, ""),
    ],
)
def test_where_a_request_comes_from(peer: str, forwarded: str, address: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == address


def test_only_so_many_hops_are_looked_at() -> None:
    hops = ",".join([CLIENT, *[PROXY] * 32])
    assert client_address(PROXY, hops, PROXIES) == PROXY


ADDRESSES = st.sampled_from([PROXY, "192.0.2.11", PROXY_6, CLIENT, OTHER, "unknown", "", "::1"])


@given(ADDRESSES, st.lists(ADDRESSES, max_size=40))
def test_nothing_before_an_untrusted_hop_is_believed(peer: str, hops: list[str]) -> None:
    chain = [*hops, peer]
    found = client_address(peer, ",".join(hops), PROXIES)
    if not found:
        assert peer in ("", "unknown")
        return
    at = max(i for i, hop in enumerate(chain) if hop == found)
    assert all(is_within(hop, PROXIES) for hop in chain[at + 1 :])


@given(ADDRESSES, st.lists(ADDRESSES, max_size=40), st.text())
def test_what_a_client_writes_itself_never_counts(peer: str, hops: list[str], written: str) -> None:
    """A client behind one proxy that appends its address: all that it sends is before that."""
    sent = ",".join([written, *hops])
    assert client_address(PROXY, f"{sent}, {CLIENT}", PROXIES) == CLIENT
    assert client_address(CLIENT, sent, PROXIES) == CLIENT


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("192.0.2.3", PROXIES, True),
        ("192.0.2.16", PROXIES, False),
        ("::ffff:192.0.2.3", PROXIES, True),
        ("2001:db8:1::ffff", PROXIES, True),
        ("2001:db8:2::", PROXIES, False),
        ("2001:db8:1::1%eth0", PROXIES, True),
        ("192.0.2.3", (), False),
        ("x", PROXIES, False),
    ],
)
def test_is_within(
    address: str, networks: Sequence[IPv4Network | IPv6Network], within: bool
) -> None:
    assert is_within(address, networks) is within


@pytest.mark.parametrize(
    ("peer", "tls", "local", "proto", "private", "encrypted"),
    [
        (CLIENT, False, False, None, False, False),
        (CLIENT, True, False, None, True, True),
        (CLIENT, False, True, None, True, False),
        (PROXY, False, False, None, False, False),
        (PROXY, True, False, None, True, True),
        # Forwarded: by a trusted proxy, who knows how the client came
        (PROXY, False, False, "https", True, True),
        (PROXY_6, False, False, " HTTPS ", True, True),
        (f"::ffff:{PROXY}", False, False, "https", True, True),
        (PROXY, True, True, "http", False, False),
        (PROXY, True, True, "", False, False),
        (PROXY, False, False, "https, http", False, False),
        # and by anybody else
        (CLIENT, False, False, "https", False, False),
        (CLIENT, False, True, "https", False, False),
        (CLIENT, True, False, "http", True, True),
        ("", False, False, "https", False, False),
    ],
)
def test_whether_others_can_read_a_login(
    peer: str, tls: bool, local: bool, proto: str | None, private: bool, encrypted: bool
) -> None:
    way = Way(
        peer=peer,
        tls=tls,
        local=local,
        forwarded=proto is not None,
        forwarded_proto=proto or "",
    )
    assert is_private_way(way, PROXIES) is private
    assert is_encrypted(way, PROXIES) is encrypted
