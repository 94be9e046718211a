"""The calls by themselves; integration/test_hub_connections.py has them in a real proxy."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client
from mitmproxy.test import taddons

from metahub_addon import hub_connections
from metahub_addon.connection_bound import IDLE_BEATS, SILENT_BEATS
from metahub_addon.hub_connections import HubConnections
from support.flows import ProxyOptions, client_of

PROXIES = (ip_network("192.0.2.0/28"),)


class Fake(asyncio.Transport):
    """A StreamWriter, and its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.transport = self
        self.is_aborted = False
        self.said: list[str] = []

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted

    def pause_reading(self) -> None:
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")


class Clients:
    """Clients of a hub that takes two at once."""

    def __init__(self, proxyserver: Proxyserver, connections: HubConnections) -> None:
        self.proxyserver, self.connections = proxyserver, connections
        self.writers: dict[str, Fake] = {}

    def connect(self, peer: str = "198.51.100.1", protocol: Any = "tcp") -> Client:
        client = client_of(peer=peer)
        client.id, client.transport_protocol = f"client {len(self.writers)}", protocol
        writer = self.writers[client.id] = Fake()
        streams = {client: SimpleNamespace(writer=writer)}
        handler: Any = SimpleNamespace(client=client, transports=streams)
        self.proxyserver.connections[client.id] = handler
        self.connections.came(client, PROXIES)
        return client

    def is_closed(self, client: Client) -> bool:
        return self.writers[client.id].is_aborted

    def beat(self, count: int = 1) -> None:
        for _ in range(count):
            self.connections.beat()


@pytest.fixture
async def clients(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    monkeypatch.setattr(hub_connections, "raise_file_limit", lambda: 8)
    monkeypatch.setattr(hub_connections, "StreamWriter", Fake)
    proxyserver, connections = ProxyOptions(), HubConnections()
    proxyserver.name = "proxyserver"  # type: ignore[attr-defined]
    with taddons.context(proxyserver):
        connections.start()
        connections.start()
        yield Clients(proxyserver, connections)
        connections.stop()
        connections.stop()


async def test_a_newcomer_takes_a_strangers_place(
    clients: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    first, second, third = (clients.connect() for _ in range(3))
    assert [clients.is_closed(one) for one in (first, second, third)] == [True, False, False]
    assert third.error is None
    clients.beat()
    clients.connect()
    clients.beat(2)
    assert [one.levelname for one in caplog.records] == ["WARNING"], "once a minute"
    assert "all 2 connections are taken: 1 were dropped" in caplog.text


async def test_who_has_logged_in_stays(clients: Clients) -> None:
    first, second = clients.connect(), clients.connect("192.0.2.1")
    clients.connections.known(first)
    third = clients.connect()
    assert third.error == "too many connections"
    clients.beat(1000)
    assert not any(writer.is_aborted for writer in clients.writers.values())
    clients.connections.left(second)
    assert clients.connect().error is None


async def test_silent_ones_are_closed(clients: Clients) -> None:
    silent, heard = clients.connect(), clients.connect()
    clients.beat(SILENT_BEATS - 1)
    clients.connections.heard(heard)
    clients.beat()
    assert (clients.is_closed(silent), clients.is_closed(heard)) == (True, False)
    clients.connections.asked(heard)
    clients.beat(IDLE_BEATS - 1)
    assert not clients.is_closed(heard)
    clients.beat()
    assert clients.is_closed(heard)


async def test_what_mitmproxy_leaves_open_is_closed(clients: Clients) -> None:
    client = clients.connect()
    clients.connections.left(client)
    assert clients.is_closed(client)


async def test_datagrams(clients: Clients) -> None:
    assert clients.connect(protocol="udp").error == "a hub is reached by TCP"


async def test_one_that_has_just_gone(clients: Clients) -> None:
    gone, other, odd = clients.connect(), clients.connect(), clients.connect()
    clients.proxyserver.connections.pop(other.id)
    clients.proxyserver.connections[odd.id].transports.clear()
    clients.beat(SILENT_BEATS)
    assert [clients.is_closed(one) for one in (gone, other, odd)] == [True, False, False]


async def test_a_node() -> None:
    """Nothing is counted before `start`, and nothing is closed."""
    connections = HubConnections()
    client = client_of(peer="198.51.100.1")
    connections.came(client, PROXIES)
    connections.known(client)
    connections.left(client)
    assert client.error is None


async def test_another_proxyserver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_connections, "raise_file_limit", lambda: 8)
    connections = HubConnections()
    with taddons.context():
        connections.start()
        connections.came(client_of(peer="198.51.100.1"), PROXIES)
        for _ in range(SILENT_BEATS):
            connections.beat()
        connections.stop()


async def test_seconds_in_which_the_hub_was_late_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What clients have said may wait to be heard."""
    connections, now, seen = HubConnections(), [0.0], [0]
    took = iter([1.1, 5.0, 1.1, 1.1])

    async def sleep(seconds: float) -> None:
        assert seconds == 1
        try:
            now[0] += next(took)
        except StopIteration:
            raise asyncio.CancelledError from None

    monkeypatch.setattr(connections, "beat", lambda: seen.__setitem__(0, seen[0] + 1))
    loop = asyncio.get_running_loop()
    with monkeypatch.context() as patched:
        patched.setattr(loop, "time", lambda: now[0])
        patched.setattr(asyncio, "sleep", sleep)
        with pytest.raises(asyncio.CancelledError):
            await connections._beat_for_ever()
    assert seen == [3]


def test_a_client_is_not_read_while_it_is_held(clients: Clients) -> None:
    client = clients.connect()
    with pytest.raises(ZeroDivisionError), clients.connections.held(client):
        raise ZeroDivisionError
    assert clients.writers[client.id].said == ["pause", "resume"]
    with clients.connections.held(client):
        clients.writers[client.id].abort()
    assert clients.writers[client.id].said == ["pause", "resume", "pause"]


def test_a_client_that_has_gone_is_not_held(clients: Clients) -> None:
    client = clients.connect()
    clients.proxyserver.connections.clear()
    with clients.connections.held(client):
        pass
    assert clients.writers[client.id].said == []
