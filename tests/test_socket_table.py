import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.socket_table import Connection, is_connected, owner_of, parse_table

# As the kernel of a little-endian machine writes them (proc(5)), the columns shortened.
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout"
LISTENS = (
    "   0: 0100007F:46A3 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1"
)
CLIENT = (
    "   1: 0100007F:9C40 0100007F:46A3 01 00000000:00000000 00:00000000 00000000  1000        0 2"
)
CLOSED = (
    "   2: 010200C0:9C41 050200C0:4423 06 00000000:00000000 03:000017A6 00000000     0        0 0"
)
MAPPED = (
    "   3: 0000000000000000FFFF00000100007F:9C42 0000000000000000FFFF0000050200C0:01BB 01"
    " 00000000:00000000 00:00000000 00000000  1001        0 3"
)
IPV6 = (
    "   4: B80D0120000000000000000001000000:9C43 B80D0120000000000000000002000000:01BB 01"
    " 00000000:00000000 00:00000000 00000000  1002        0 4"
)
TABLE = [
    Connection(("127.0.0.1", 18083), ("0.0.0.0", 0), False, 0),
    Connection(("127.0.0.1", 40000), ("127.0.0.1", 18083), True, 1000),
    Connection(("192.0.2.1", 40001), ("192.0.2.5", 17443), False, 0),
    Connection(("127.0.0.1", 40002), ("192.0.2.5", 443), True, 1001),
    Connection(("2001:db8::1", 40003), ("2001:db8::2", 443), True, 1002),
]


@pytest.fixture(autouse=True)
def little_endian(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "little")


def test_a_table() -> None:
    assert parse_table([HEAD, LISTENS, CLIENT, CLOSED, MAPPED, IPV6]) == TABLE


def test_a_table_of_a_big_endian_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "byteorder", "big")
    line = CLIENT.replace("0100007F", "7F000001")
    mapped = MAPPED.replace("FFFF0000", "0000FFFF").replace("0100007F", "7F000001")
    found = parse_table([line, mapped.replace("050200C0", "C0000205")])
    assert found == [TABLE[1], TABLE[3]]


@pytest.mark.parametrize("line", ["", HEAD, "   0:", " ".join(CLIENT.split()[:7])])
def test_what_is_no_connection_is_left_out(line: str) -> None:
    assert parse_table([line]) == []


@pytest.mark.parametrize(
    ("local", "owner"),
    [
        (("127.0.0.1", 40000), 1000),
        (("::ffff:127.0.0.1", 40000), 1000),
        (("127.0.0.1", 40002), 1001),
        (("2001:db8::1", 40003), 1002),
        (("2001:DB8:0::1%eth0", 40003), 1002),
        (("192.0.2.1", 40001), 0),
        (("127.0.0.1", 40009), None),
        (("127.0.0.2", 40000), None),
        (("192.0.2.5", 443), None),
    ],
)
def test_the_owner_of_a_connections_end(local: tuple[str, int], owner: int | None) -> None:
    """Who asks has the client's end; the other one may be on this host, too."""
    assert owner_of(TABLE, local) == owner


@pytest.mark.parametrize(
    ("port", "connected"),
    [(18083, True), (443, True), (17443, False), (0, False), (444, False), (40000, False)],
)
def test_which_ports_somebody_is_connected_to(port: int, connected: bool) -> None:
    """What listens, or is closing, is no connection; nor is the own end's port."""
    assert is_connected(TABLE, port) is connected


@given(st.ip_addresses(v=4), st.integers(0, 65535), st.integers(0, 2**32 - 1))
def test_each_address_port_and_owner_is_read(address: object, port: int, owner: int) -> None:
    packed = bytes(reversed(bytes(map(int, str(address).split("."))))).hex().upper()
    line = CLIENT.replace("0100007F:9C40", f"{packed}:{port:04X}").replace("  1000 ", f"  {owner} ")
    (found,) = parse_table([line])
    assert (found.local, found.owner) == ((str(address), port), owner)
