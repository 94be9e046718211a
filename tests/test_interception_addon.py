"""The hooks by themselves; integration/test_interception.py has them in a real proxy."""

import asyncio
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from mitmproxy import exceptions, http, tls
from mitmproxy.flow import Error
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import taddons

from metahub_addon import interception_addon
from metahub_addon.flow_repository import MIRRORED, NOT_OURS
from metahub_addon.interception import Endpoint
from metahub_addon.interception_addon import Interceptor
from metahub_addon.own_connections import read_connections
from support.flows import REVERSE, ProxyOptions, answer, client_of, request_flow
from support.mitmdump import free_port

REGISTRY = Endpoint("reg.test", 443)
LAYERS = Endpoint("layers.test", 443)
# A version, 32 random bytes, no session, one cipher, no compression.
HELLO = bytes.fromhex("0303" + "00" * 32 + "00" + "00021301" + "0100")
NO_TRUST = "The client does not trust the proxy's certificate for reg.test (OpenSSL Error([...]))"


@dataclass
class Node:
    """An interceptor in mitmproxy's context, and the addresses that it signalled."""

    counts: Counter[str] = field(default_factory=Counter)
    signalled: list[str] = field(default_factory=list)
    briefly: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.addon = Interceptor(self.counts, self.signal)
        self.context = taddons.context(ProxyOptions(), self.addon)

    def signal(self, address: str, briefly: bool = False) -> None:
        (self.briefly if briefly else self.signalled).append(address)

    def configure(self, *registries: str, layers_port: int = 0) -> None:
        self.context.configure(
            self.addon, metahub_registries=list(registries), metahub_layers_port=layers_port
        )


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    with made.context:
        yield made
        made.addon.done()


def connection(
    sni: str | None = "reg.test",
    address: tuple[str, int] | None = ("192.0.2.1", 443),
    mode: str = "regular",
) -> Context:
    context = Context(client_of(mode, sni=sni), Options())
    context.server.address = address
    return context


def hello(node: Node, context: Context) -> bool:
    """True if a connection is left alone."""
    data = tls.ClientHelloData(context, tls.ClientHello(HELLO))
    node.addon.tls_clienthello(data)
    return data.ignore_connection


def failed(context: Context, error: str | None) -> tls.TlsData:
    context.client.error = error
    return tls.TlsData(context.client, context)


async def test_connections_are_opened_when_they_are_needed(node: Node) -> None:
    assert node.context.options.connection_strategy == "lazy"


@pytest.mark.parametrize(
    ("registries", "layers_port", "says"),
    [
        (["reg.test:x"], 0, "metahub_registries: 'reg.test:x': 'x' is not a port"),
        (["https://reg.test/"], 0, "metahub_registries: 'https://reg.test/'"),
        (["reg.test:5000"], 4999, "layers ports 4999 to 5000: no ports, or a registry's own"),
        ([], 70000, "layers ports 70000"),
    ],
)
async def test_a_wrong_option_is_named_and_changes_nothing(
    node: Node, registries: list[str], layers_port: int, says: str
) -> None:
    node.configure("reg.test:5000", layers_port=17443)
    with pytest.raises(exceptions.OptionsError, match=says):
        node.configure(*registries, layers_port=layers_port)
    assert node.addon.layers_ports == {443: 17443, 5000: 17444}
    assert not node.addon.interception.includes(REGISTRY)


async def test_an_option_of_others_forgets_nothing(node: Node) -> None:
    node.addon.interception.note_broken(REGISTRY)
    node.context.configure(node.addon, ssl_insecure=True)
    assert hello(node, connection())


@pytest.mark.parametrize(
    ("context", "alone"),
    [
        (connection(), False),
        (connection("REG.test", ("reg.test", 443)), False),
        (connection("other.test"), True),
        (connection("reg.test", ("192.0.2.1", 8443)), True),
        (connection(None), True),
        (connection(None, ("reg.test", 443)), False),
        (connection("other.test", ("reg.test", 443)), True),
        (connection("other.test", None), False),
        (connection("other.test", mode=REVERSE), False),
    ],
)
async def test_only_named_registries_are_intercepted(
    node: Node, context: Context, alone: bool
) -> None:
    """By the name that the client says in TLS; a mirror's port is meant as it is."""
    node.configure("reg.test:443")
    assert hello(node, context) is alone
    assert node.counts["connections left alone"] == alone


async def test_layers_go_past_on_their_port(node: Node) -> None:
    node.configure(layers_port=17443)
    assert hello(node, connection(address=("192.0.2.1", 17443)))
    assert not hello(node, connection())


@pytest.mark.parametrize(
    ("mode", "signalled"),
    [("transparent", ["192.0.2.9", "192.0.2.8"]), ("regular", []), (REVERSE, [])],
)
async def test_the_firewall_hears_of_what_is_none_of_ours(
    node: Node, mode: str, signalled: list[str]
) -> None:
    """Of hosts of layers and others that are not named; not of a registry left alone."""
    node.configure("*.test")
    node.addon.interception.note_layers(REGISTRY, LAYERS)
    node.addon.interception.note_broken(REGISTRY)
    hello(node, connection("layers.test", ("192.0.2.9", 443), mode))
    hello(node, connection("backup.example", ("192.0.2.8", 443), mode))
    hello(node, connection("reg.test", ("192.0.2.1", 443), mode))
    assert node.signalled == signalled
    assert node.briefly == []


async def test_the_firewall_does_not_hear_of_an_address_that_is_a_registrys_too(
    node: Node,
) -> None:
    node.configure("*.test")
    node.addon.interception.note_address("192.0.2.8")
    assert hello(node, connection("backup.example", ("192.0.2.8", 443), "transparent"))
    assert node.signalled == []


async def test_a_client_without_trust_is_left_alone_at_its_next_try(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    assert not hello(node, connection())
    node.addon.tls_failed_client(failed(connection(), NO_TRUST))
    assert hello(node, connection())
    assert "reg.test:443: a client does not trust the proxy's CA: left alone" in caplog.text
    assert node.counts["clients without trust"] == 1


async def test_a_client_without_trust_changes_nothing_for_others(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    context = connection()
    node.addon.tls_established_client(tls.TlsData(context.client, context))
    node.addon.tls_failed_client(failed(connection(), NO_TRUST))
    assert not hello(node, connection())
    assert "others do, so it stays intercepted" in caplog.text


@pytest.fixture
async def own_line() -> AsyncIterator[tuple[str, int]]:
    """The client's end of a connection that this process has."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), 10) as client,
    ):
        yield client.getsockname()


async def test_a_users_client_without_trust_is_left_alone_though_others_trust(
    node: Node,
    own_line: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whose connection it is says the kernel; here that it were not root's."""
    uid = os.getuid() or 1000
    monkeypatch.setattr(
        interception_addon,
        "read_connections",
        lambda: [replace(each, owner=each.owner or uid) for each in read_connections()],
    )
    context = connection()
    node.addon.tls_established_client(tls.TlsData(context.client, context))
    theirs, others = connection(), connection()
    theirs.client.peername = own_line
    assert not hello(node, theirs)
    node.addon.tls_failed_client(failed(theirs, NO_TRUST))
    theirs.client.error = None
    assert hello(node, theirs)
    assert not hello(node, others), "its end is not on this host"
    assert f"a client of user {uid} does not trust the proxy's CA: left alone" in caplog.text


DOWN = [
    "The client disconnected during the handshake.",
    "The remote server closed the connection during the handshake",
    "connection closed early",
    "OpenSSL Error([('SSL routines', '', 'unexpected eof while reading')])",
    "[Errno 104] Connection reset by peer",
    "[Errno 110] Connection timed out",
    "connect timeout",
]


@pytest.mark.parametrize("mode", ["regular", REVERSE])
@pytest.mark.parametrize("error", DOWN)
async def test_a_line_that_went_down_is_no_lack_of_trust(node: Node, mode: str, error: str) -> None:
    node.addon.tls_failed_client(failed(connection(mode=mode), error))
    node.addon.tls_failed_server(failed(connection(mode=mode), error))
    assert not hello(node, connection())
    assert not node.counts


@pytest.mark.parametrize("error", [None, "", "No TLS context was provided, failing connection."])
async def test_a_clients_failure_of_another_kind_is_no_lack_of_trust(
    node: Node, error: str | None
) -> None:
    node.addon.tls_failed_client(failed(connection(), error))
    assert not hello(node, connection())
    assert not node.counts


async def test_a_mirrors_client_without_trust_says_nothing_of_registries(node: Node) -> None:
    context = connection(mode=REVERSE)
    node.addon.tls_failed_client(failed(context, NO_TRUST))
    node.addon.tls_failed_server(failed(context, "Certificate verify failed: unable to get"))
    node.addon.tls_established_client(tls.TlsData(context.client, context))
    assert not hello(node, connection())
    assert not node.counts


@pytest.mark.parametrize(
    "error",
    [
        "Certificate verify failed: self-signed certificate",
        "OpenSSL Error([('SSL routines', '', 'unsafe legacy renegotiation disabled')])",
        "OpenSSL Error([('SSL routines', '', 'dh key too small')])",
        "OpenSSL Error([('SSL routines', '', 'wrong signature type')])",
        "OpenSSL Error([('SSL routines', '', 'unsupported protocol')])",
        "OpenSSL Error([('SSL routines', '', 'tlsv13 alert certificate required')])",
    ],
)
async def test_a_registry_whose_tls_we_cannot_take_is_left_alone_longer_each_time(
    node: Node, caplog: pytest.LogCaptureFixture, error: str
) -> None:
    """Go's TLS may take what OpenSSL's does not."""
    for seconds in (300, 600):
        node.addon.tls_failed_server(failed(connection(), error))
        assert hello(node, connection())
        assert f"reg.test:443: left alone for {seconds} s: {error}" in caplog.text
    assert node.counts["registries without trust"] == 2


@pytest.mark.parametrize(
    ("path", "is_registry"),
    [
        ("/v2/a/manifests/t", True),
        (f"/v2/a/manifests/sha256:{'a' * 64}", True),
        (f"/v2/a/blobs/sha256:{'a' * 64}", False),
        ("/x", False),
    ],
)
async def test_who_is_asked_for_manifests_is_a_registry(
    node: Node, path: str, is_registry: bool
) -> None:
    node.addon.interception.note_layers(REGISTRY, LAYERS)
    request = request_flow(f"https://layers.test{path}", sni="layers.test")
    node.addon.requestheaders(request)
    assert NOT_OURS not in request.metadata
    assert hello(node, connection("layers.test")) is not is_registry


@pytest.mark.parametrize(
    ("url", "sni"),
    [
        ("http://layers.test/v2/a/manifests/t", None),
        ("http://layers.test/v2/a/manifests/t", "layers.test"),
        ("https://layers.test/v2/a/manifests/t", "reg.test"),
        ("https://layers.test/v2/a/manifests/t", None),
    ],
)
async def test_what_tls_does_not_vouch_for_makes_no_registry(
    node: Node, url: str, sni: str | None
) -> None:
    """Any user of the node may send any Host to a server of its own."""
    node.addon.interception.note_layers(REGISTRY, LAYERS)
    node.addon.requestheaders(request_flow(url, sni=sni))
    assert hello(node, connection("layers.test"))


async def test_a_request_to_what_is_not_named_is_marked(node: Node) -> None:
    """Over plain HTTP nothing is left alone: it passes, untouched."""
    node.configure("reg.test:443")
    for url, marked in (("http://reg.test/", True), ("https://reg.test/", False)):
        flow = request_flow(f"{url}v2/a/manifests/t")
        node.addon.requestheaders(flow)
        assert (NOT_OURS in flow.metadata) is marked


@pytest.mark.parametrize(
    ("mode", "peer", "query", "place", "mirrored"),
    [
        (REVERSE, "127.0.0.1", "ns=docker.io", ("https", "registry-1.docker.io", 443), True),
        (REVERSE, "127.0.0.1", "ns=reg.test:5000", ("https", "reg.test", 5000), True),
        (REVERSE, "127.0.0.1", "ns=%5B2001:db8::1%5D:5000", ("https", "2001:db8::1", 5000), True),
        (REVERSE, "127.0.0.1", "ns=listener.test:80", ("http", "listener.test", 80), True),
        (REVERSE, "127.0.0.1", "", ("http", "listener.test", 80), False),
        (REVERSE, "127.0.0.1", "ns=a/b", ("http", "listener.test", 80), False),
        (REVERSE, "192.0.2.77", "ns=reg.test", ("http", "listener.test", 80), False),
        ("regular", "127.0.0.1", "ns=reg.test", ("http", "listener.test", 80), False),
        ("transparent", "127.0.0.1", "ns=reg.test", ("http", "listener.test", 80), False),
    ],
)
async def test_a_mirrors_request_goes_to_the_registry_that_it_names(
    node: Node, mode: str, peer: str, query: str, place: tuple[str, str, int], mirrored: bool
) -> None:
    """For this host's clients: the proxy is no way to any host for others."""
    node.configure("none.test")
    flow = request_flow(f"http://listener.test/v2/a/manifests/t?{query}", mode=mode, peer=peer)
    node.addon.requestheaders(flow)
    assert (flow.request.scheme, flow.request.host, flow.request.port) == place
    assert (MIRRORED in flow.metadata) is mirrored
    assert (NOT_OURS in flow.metadata) is not mirrored
    if mirrored and place[1] != "listener.test":
        assert flow.request.host_header in (f"{place[1]}:{place[2]}", place[1]) or ":" in place[1]


def to_server(
    address: tuple[Any, ...] | None, mode: str = "transparent", sni: str | None = "reg.test"
) -> ServerConnectionHookData:
    """A connection that the proxy is about to make for a client."""
    context = connection(sni, None, mode)
    context.server.address = address
    return ServerConnectionHookData(server=context.server, client=context.client)


@pytest.fixture
async def silent_host(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A port of reg.test: its first address refuses, its second answers."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host == "reg.test"
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    with socket.create_server(("127.0.0.2", free_port())) as listener:
        yield listener.getsockname()[1]


async def test_a_redirected_client_is_led_to_an_address_that_answers(
    node: Node, silent_host: int
) -> None:
    data = to_server(("127.0.0.1", silent_host))
    await node.addon.server_connect(data)
    assert (data.server.address, data.server.error) == (("127.0.0.2", silent_host), None)


async def test_if_none_answers_the_connection_fails_and_clients_try_themselves(
    node: Node,
) -> None:
    for sni in (None, f"{'a' * 64}.test"):
        data = to_server(("127.0.0.1", free_port()), sni=sni)
        await node.addon.server_connect(data)
        assert (data.server.error or "").startswith("no address answers: ")
        node.addon.server_connect_error(data)
    assert node.briefly == ["127.0.0.1"] * 2
    assert node.signalled == []


async def test_silence_has_a_name_too(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    async def be_silent(*_: object) -> str:
        raise TimeoutError

    monkeypatch.setattr(node.addon._reachability, "address_for", be_silent)
    data = to_server(("127.0.0.1", 443))
    await node.addon.server_connect(data)
    assert data.server.error == "no address answers: TimeoutError"


async def test_an_address_that_failed_is_forgotten_and_let_past_briefly(
    node: Node, silent_host: int
) -> None:
    node.addon.interception.note_address("127.0.0.2")
    data = to_server(("127.0.0.1", silent_host))
    await node.addon.server_connect(data)
    data.server.error = "connection refused"
    node.addon.server_connect_error(data)
    assert node.briefly == ["127.0.0.2"], "whether or not a registry was seen there"
    assert [*node.addon._reachability._known] == []


async def test_what_redirected_clients_chose_by_ipv6_is_an_address_and_a_port(node: Node) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        there = listener.getsockname()
        data = to_server(there)
        await node.addon.server_connect(data)
    assert len(there) == 4
    assert data.server.address == there[:2]
    node.addon.server_connect_error(data)
    assert node.briefly == ["::1"]


@pytest.mark.parametrize("mode", ["regular", REVERSE])
async def test_a_client_that_names_its_host_is_not_led_elsewhere(node: Node, mode: str) -> None:
    """The proxy looks for the address, and tries all of them."""
    address = ("127.0.0.1", free_port())
    data = to_server(address, mode)
    await node.addon.server_connect(data)
    assert (data.server.address, data.server.error) == (address, None)
    node.addon.server_connect_error(data)
    assert node.briefly == []


async def test_a_connection_to_nowhere_is_left_as_it_is(node: Node) -> None:
    data = to_server(None)
    await node.addon.server_connect(data)
    node.addon.server_connect_error(data)
    assert (data.server.address, data.server.error, node.briefly) == (None, None, [])


def unanswered(url: str = "https://reg.test/v2/", sni: str = "reg.test") -> http.HTTPFlow:
    flow = request_flow(url, sni=sni)
    flow.error = Error("server closed connection")
    return flow


async def test_a_registry_that_gives_no_answer_is_left_to_the_clients_next_try(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    node.addon.error(unanswered())
    assert hello(node, connection())
    assert "reg.test:443: left alone for 20 s: server closed connection" in caplog.text
    node.addon.error(unanswered())
    assert node.counts["requests without an answer"] == 1, "many at once are one failure"


async def test_a_failure_without_words_is_one(node: Node) -> None:
    flow = unanswered()
    flow.error = None
    node.addon.error(flow)
    assert hello(node, connection())


async def test_what_the_client_broke_off_is_no_fault_of_the_registry(node: Node) -> None:
    for message in ("Client disconnected.", "stream reset by client (CANCEL)"):
        flow = unanswered()
        flow.error = Error(message)
        node.addon.error(flow)
    assert not hello(node, connection())


async def test_an_answer_that_ends_short_is_an_answer(node: Node) -> None:
    flow = unanswered()
    answer(flow)
    node.addon.error(flow)
    assert not hello(node, connection())


async def test_silence_counts_only_where_tls_vouches_for_the_name(node: Node) -> None:
    """A user of the node could make any registry one that is left alone."""
    for flow in (unanswered("http://reg.test/v2/"), unanswered(sni="users.test")):
        node.addon.error(flow)
    assert not hello(node, connection())
    assert not node.counts


@pytest.mark.parametrize(("connected", "seconds"), [(1.0, 300), (None, 600)])
async def test_an_answer_of_the_registrys_own_ends_the_row_of_failures(
    node: Node, connected: float | None, seconds: int
) -> None:
    """What the addon answers itself says nothing of the registry."""
    known = node.addon.interception
    known.note_broken(REGISTRY)
    flow = request_flow("https://reg.test/v2/", sni="reg.test")
    flow.server_conn.timestamp_start = connected
    answer(flow)
    node.addon.response(flow)
    assert known.note_broken(REGISTRY) == seconds


@pytest.mark.parametrize(("mode", "alone"), [("transparent", False), ("regular", True)])
async def test_addresses_of_named_registries_are_looked_up(
    node: Node, monkeypatch: pytest.MonkeyPatch, mode: str, alone: bool
) -> None:
    """So that another name at the same address takes nothing from them."""

    async def look_up(host: str, port: int) -> list[str]:
        assert (host, port) == ("reg.test", 443)
        return ["192.0.2.1", "2001:db8::1"]

    monkeypatch.setattr(interception_addon, "look_up", look_up)
    node.configure("reg.test", "*.other.test")
    node.context.options.update(mode=[f"{mode}@127.0.0.1:1"])
    node.addon.running()
    await asyncio.sleep(0.01)
    assert node.addon.interception.may_pass(LAYERS, "192.0.2.1") is alone
    assert node.addon.interception.may_pass(LAYERS, "2001:db8::1") is alone
    assert node.addon.interception.may_pass(LAYERS, "192.0.2.2")


async def test_other_registries_are_looked_up_at_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def look_up(host: str, port: int) -> list[str]:
        asked.append(host)
        return []

    monkeypatch.setattr(interception_addon, "look_up", look_up)
    node.context.options.update(mode=["transparent@127.0.0.1:1"])
    node.configure("a.test")
    await asyncio.sleep(0.01)
    assert asked == [], "before the proxy runs"
    node.addon.running()
    await asyncio.sleep(0.01)
    node.configure("b.test")
    await asyncio.sleep(0.01)
    assert asked == ["a.test", "b.test"]
    (looks_on,) = asyncio.all_tasks() - {asyncio.current_task()}
    assert not looks_on.done()


async def test_at_the_end_nothing_is_looked_up_any_more(node: Node) -> None:
    node.addon.done()
    node.addon.running()
    node.addon.done()
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()
