"""The real table, of sockets of this process."""

import os
import socket
from pathlib import Path

import pytest

from metahub_addon import own_connections
from metahub_addon.own_connections import read_connections
from metahub_addon.socket_table import is_connected, owner_of


@pytest.mark.parametrize(
    ("family", "bound", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
    ],
)
def test_a_connection_of_this_process(family: socket.AddressFamily, bound: str, asked: str) -> None:
    """With IPv6, the listener's end of an IPv4 connection is in the table of IPv6."""
    with socket.create_server((bound, 0), family=family, dualstack_ipv6=bound == "::") as listener:
        place = (asked, listener.getsockname()[1])
        assert not is_connected(read_connections(), place[1])
        with socket.create_connection(place, 10) as client, listener.accept()[0] as served:
            found = read_connections()
            assert is_connected(found, place[1])
            assert owner_of(found, client.getsockname()[:2]) == os.getuid()
            assert owner_of(found, served.getpeername()[:2]) == os.getuid()
            port = client.getsockname()[1]
        assert owner_of(found, ("192.0.2.77", port)) is None


def test_without_a_table_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(own_connections, "_TABLES", (str(tmp_path / "gone"), str(tmp_path)))
    assert read_connections() == []
