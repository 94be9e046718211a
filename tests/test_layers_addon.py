"""The hooks by themselves; integration/test_layers.py has them in a real proxy."""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest
from mitmproxy import exceptions, http
from mitmproxy.connection import Server
from mitmproxy.test import taddons

from metahub_addon import layers_addon
from metahub_addon.flow_repository import MIRRORED, NOT_OURS
from metahub_addon.http_fetcher import HttpFetcher
from metahub_addon.interception import Endpoint
from metahub_addon.interception_addon import Interceptor
from metahub_addon.layers_addon import Layers
from metahub_addon.media_types import DOCKER_MANIFEST
from metahub_addon.socket_table import Connection
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import FetchError, Repository
from support.descriptors import digest
from support.flows import REVERSE, ProxyOptions, answer, request_flow
from support.mitmdump import free_port

REGISTRY = "https://reg.test"
TOKEN = {"Authorization": "Bearer x"}
DOCKER = {"User_Agent": "docker/26.1.5 go/go1.22"}


class FakeRegistries(HttpFetcher):
    """Says whether registries serve their layers themselves, by authority."""

    def __init__(self) -> None:
        super().__init__(TlsSettings(), 1)
        self.answers: dict[str, bool | None] = {}
        self.error = ""
        self.silent = False
        self.asked: list[Repository] = []

    async def serves(self, repository: Repository, digest: str) -> bool | None:
        self.asked.append(repository)
        if self.silent:
            await asyncio.Event().wait()
        if self.error:
            raise FetchError(self.error)
        return self.answers.get(repository.registry.authority, True)


@dataclass
class Node:
    """The addons of the layers in mitmproxy's context, and the addresses signalled."""

    counts: Counter[str] = field(default_factory=Counter)
    signalled: list[str] = field(default_factory=list)
    registries: FakeRegistries = field(default_factory=FakeRegistries)

    def __post_init__(self) -> None:
        self.interceptor = Interceptor(self.counts, self.signal)
        self.addon = Layers(self.counts, self.interceptor, lambda: self.registries)
        self.context = taddons.context(ProxyOptions(), self.interceptor, self.addon)

    def signal(self, address: str, briefly: bool = False) -> None:
        assert not briefly
        self.signalled.append(address)

    async def get(self, layer: int = 1, registry: str = REGISTRY, /, **more: str) -> http.HTTPFlow:
        """A request for a layer, as the addon leaves it."""
        flow = request_flow(blob(layer, registry), **{**DOCKER, **more})
        flow.request.stream = True
        await self.addon.requestheaders(flow)
        return flow


def blob(layer: int, registry: str = REGISTRY) -> str:
    return f"{registry}/v2/a/b/blobs/{digest(layer)}"


def sent_to(flow: http.HTTPFlow) -> str:
    """Where a client is sent; empty: the layer goes through."""
    if flow.response is None:
        return ""
    assert flow.response.status_code == 307
    assert flow.request.stream is False, "mitmproxy cannot answer what it streams"
    return str(flow.response.headers["Location"])


CLIENT = ("127.0.0.1", 40000)  # where the clients of support.flows are


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Connection]:
    """The kernel's table: the client is root's."""
    table = [Connection(CLIENT, ("127.0.0.1", 18081), True, 0)]
    monkeypatch.setattr(layers_addon, "read_connections", lambda: table)
    return table


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    with made.context:
        yield made
    made.addon.done()


@pytest.fixture
async def past(node: Node) -> Node:
    node.context.configure(
        node.interceptor, metahub_layers_port=17443, metahub_registries=["*.test", "x:5000"]
    )
    return node


@pytest.fixture
async def relayed(node: Node) -> Node:
    node.context.configure(node.addon, metahub_relay_port=free_port())
    return node


async def test_without_a_port_all_goes_through(node: Node) -> None:
    for more in ({}, TOKEN):
        flow = await node.get(**more)
        assert flow.response is None
        assert flow.request.stream is True
    assert node.registries.asked == []
    assert node.counts == {"layers through": 2}


@pytest.mark.parametrize(
    ("registry", "location"),
    [
        ("https://reg.test", "https://reg.test:17443"),
        ("https://reg.test:5000", "https://reg.test:17444"),
        ("http://reg.test:5000", "http://reg.test:17444"),
        ("https://reg.test:5001", ""),
        ("http://reg.test", ""),
    ],
)
async def test_a_layer_goes_past_on_the_port_of_its_registrys(
    past: Node, registry: str, location: str
) -> None:
    flow = await past.get(1, registry)
    assert sent_to(flow) == (location and blob(1, location))
    if location:
        assert flow.response
        assert flow.response.headers["Docker-Content-Digest"] == digest(1)
        (asked,) = past.registries.asked
        authority = urlsplit(location).netloc
        assert (asked.registry.authority, asked.registry.host) == (authority, "reg.test")
        assert asked.registry.port == int(authority.rpartition(":")[2])


async def test_in_transparent_mode_the_name_counts_and_the_address_is_asked(past: Node) -> None:
    flow = request_flow(
        blob(1, "https://192.0.2.1"), "GET", "transparent", sni="reg.test", Host="reg.test"
    )
    await past.addon.requestheaders(flow)
    assert sent_to(flow) == blob(1, "https://reg.test:17443")
    (asked,) = past.registries.asked
    place = asked.registry
    assert (place.host, place.port, place.sni) == ("192.0.2.1", 17443, "reg.test")
    assert place.authority == "reg.test:17443"


async def test_the_query_stays(past: Node) -> None:
    flow = request_flow(f"{blob(1)}?ns=reg.test")
    await past.addon.requestheaders(flow)
    assert sent_to(flow) == blob(1, "https://reg.test:17443") + "?ns=reg.test"


async def test_credentials_are_not_taken_to_another_port(past: Node) -> None:
    assert sent_to(await past.get(**TOKEN)) == ""
    assert past.registries.asked == []


@pytest.mark.parametrize("answered", [False, None])
async def test_a_registry_whose_layers_are_not_there(past: Node, answered: bool | None) -> None:
    past.registries.answers["reg.test:17443"] = answered
    assert sent_to(await past.get()) == ""
    assert past.counts == {"layers through": 1}


async def test_a_port_that_nobody_serves_is_asked_twice_and_then_no_more(
    past: Node, caplog: pytest.LogCaptureFixture
) -> None:
    past.registries.error = "ConnectError"
    for layer in range(3):
        assert sent_to(await past.get(layer)) == ""
    assert len(past.registries.asked) == 2
    assert "reg.test:17443: layers can't go this way: ConnectError" in caplog.text


async def test_new_ports_are_asked_anew(past: Node) -> None:
    past.registries.error = "ConnectError"
    await past.get(1)
    past.registries.error = ""
    past.context.configure(past.interceptor, metahub_layers_port=18443)
    assert sent_to(await past.get(2)) == blob(2, "https://reg.test:18443")


@pytest.mark.parametrize(
    ("flow", "reason"),
    [
        (request_flow(blob(1), "HEAD"), "no GET"),
        (request_flow(blob(1), "PUT"), "a push"),
        (request_flow(f"{REGISTRY}/v2/a/manifests/t"), "a manifest"),
        (request_flow(f"{REGISTRY}/v2/a/blobs/uploads/1"), "an upload"),
        (request_flow(blob(1), peer="192.0.2.77"), "another host's client"),
        (request_flow(blob(1), mode=REVERSE), "a mirror's client that names no registry"),
    ],
)
async def test_what_is_left(past: Node, flow: http.HTTPFlow, reason: str) -> None:
    await past.addon.requestheaders(flow)
    assert flow.response is None, reason
    assert past.registries.asked == []


async def test_a_flow_to_a_registry_that_is_not_named_is_left(past: Node) -> None:
    flow = request_flow(blob(1))
    flow.metadata[NOT_OURS] = True
    await past.addon.requestheaders(flow)
    assert flow.response is None
    assert past.counts == {}


async def test_a_flow_by_an_upstream_proxy_goes_through(past: Node) -> None:
    flow = request_flow(blob(1))
    flow.server_conn = Server(address=("reg.test", 443), via=("http", ("proxy.test", 3128)))
    await past.addon.requestheaders(flow)
    assert flow.response is None


async def test_a_mirrors_client_is_told_to_ask_the_registry(past: Node) -> None:
    for _ in range(2):
        flow = request_flow(f"{blob(1)}?ns=reg.test", mode=REVERSE)
        flow.metadata[MIRRORED] = True
        await past.addon.requestheaders(flow)
        assert flow.response
        assert flow.response.status_code == 404
        assert json.loads(flow.response.content or b"")["errors"][0]["code"] == "BLOB_UNKNOWN"
        assert flow.request.stream is False
    assert past.registries.asked == []


async def test_layers_with_credentials_are_relayed(relayed: Node) -> None:
    port = relayed.context.options.metahub_relay_port
    locations = [sent_to(await relayed.get(layer, **TOKEN)) for layer in range(3)]
    assert len({*locations}) == 3
    for location in locations:
        assert location.startswith(f"http://127.0.0.1:{port}/")
    (asked,) = relayed.registries.asked
    assert (asked.registry.authority, asked.authorization) == ("reg.test", "Bearer x")


async def test_the_order_is_the_clients_own_request(relayed: Node) -> None:
    more = {"Accept": "*/*", "Range": "bytes=1-2", "Cookie": "a", "Authorization": "Bearer \udce9"}
    flow = await relayed.get(1, f"{REGISTRY}:5000", **more)
    relay = relayed.addon._relay
    assert relay
    order = relay.take(sent_to(flow).rpartition("/")[2])
    assert order
    assert (order.registry.host, order.registry.port) == ("reg.test", 5000)
    assert order.target == f"/v2/a/b/blobs/{digest(1)}"
    assert order.headers == {
        "Host": b"reg.test:5000",
        "User-Agent": b"docker/26.1.5 go/go1.22",
        "Authorization": b"Bearer \xe9",
        "Accept": b"*/*",
        "Range": b"bytes=1-2",
    }


@pytest.mark.parametrize("agent", ["", "curl/8", "python-requests/2", "Go-http-client/1.1"])
async def test_only_clients_that_follow_to_plain_http_are_relayed(
    relayed: Node, agent: str
) -> None:
    assert sent_to(await relayed.get(User_Agent=agent, **TOKEN)) == ""


@pytest.mark.parametrize(
    ("agent", "owner", "relayed_to"),
    [
        ("docker/26.1.5 go/go1.22", 0, True),
        ("docker/26.1.5 go/go1.22", 1000, False),
        ("docker/26.1.5 go/go1.22", None, False),
        ("containerd/1.7.20", 1000, False),
        ("cri-o/1.30", 1000, False),
        ("containers/5.31 (github.com/containers/image)", 1000, True),
        ("skopeo/1.18", 1000, True),
        ("Buildah/1.37", 1000, True),
        ("Docker-Client/27 (linux)", 1000, True),
        ("docker/26 UpstreamClient(Docker-Client/26 \\(linux\\))", 1000, False),
    ],
)
async def test_a_loopback_of_another_namespace_is_not_ours(
    relayed: Node, connections: list[Connection], agent: str, owner: int | None, relayed_to: bool
) -> None:
    """A rootless daemon's is its own; podman and its like pull where they are called."""
    (root,) = connections
    connections[:] = [] if owner is None else [replace(root, owner=owner)]
    assert bool(sent_to(await relayed.get(User_Agent=agent, **TOKEN))) is relayed_to


async def test_a_registry_that_has_nothing_for_one_may_have_it_for_the_next(relayed: Node) -> None:
    relayed.registries.answers["reg.test"] = None
    assert sent_to(await relayed.get(1, **TOKEN)) == ""
    relayed.registries.answers.clear()
    assert sent_to(await relayed.get(2, **TOKEN))


async def test_a_way_that_takes_long_to_say_so_is_none(
    relayed: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And its next clients do not wait for it again."""
    monkeypatch.setattr(layers_addon, "_QUESTION_SECONDS", 0.05)
    relayed.registries.silent = True
    for layer in range(3):
        assert sent_to(await relayed.get(layer, **TOKEN)) == ""
    assert len(relayed.registries.asked) == 2
    assert "reg.test: layers can't go this way: no answer in time" in caplog.text


async def test_a_fault_of_the_registry_closes_the_way_for_a_while(relayed: Node) -> None:
    relayed.registries.error = "the registry answered 503"
    for layer in range(3):
        assert sent_to(await relayed.get(layer, **TOKEN)) == ""
    assert len(relayed.registries.asked) == 2


async def test_a_connection_that_has_just_ended_closes_no_way(
    relayed: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    serves = relayed.registries.serves

    async def serves_at_the_second_try(repository: Repository, digest: str) -> bool | None:
        monkeypatch.setattr(relayed.registries, "serves", serves)
        raise FetchError("ReadError")

    monkeypatch.setattr(relayed.registries, "serves", serves_at_the_second_try)
    assert sent_to(await relayed.get(1, **TOKEN))


async def test_what_the_relay_has_no_room_for_goes_through(relayed: Node) -> None:
    """Of 80 layers at once none is refused: 64 are relayed, the others streamed."""
    ways = [bool(sent_to(await relayed.get(layer, **TOKEN))) for layer in range(80)]
    assert ways == [True] * 64 + [False] * 16
    assert relayed.counts == {"layers relay": 64, "layers through": 16}


async def test_who_comes_back_gets_it_through(
    relayed: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for layer in range(3):
        assert sent_to(await relayed.get(layer, **TOKEN))
        assert sent_to(await relayed.get(layer, **TOKEN)) == ""
        assert f"reg.test:443: docker came back for a/b@{digest(layer)}" in caplog.text
    assert sent_to(await relayed.get(3, **TOKEN)) == "", "three layers are no second pull"
    assert relayed.counts == {"layers relay": 3, "layers back": 3, "layers through": 1}
    assert sent_to(await relayed.get(3, User_Agent="containerd/1.7", **TOKEN))


async def test_parts_of_a_layer_are_each_sent_on(relayed: Node) -> None:
    for part in ("bytes=0-9", "bytes=10-19", ""):
        more = {"Range": part} if part else {}
        assert sent_to(await relayed.get(1, **TOKEN, **more))


async def test_a_second_pull_goes_past_while_the_first_is_seen_there(
    past: Node, connections: list[Connection]
) -> None:
    there = blob(1, "https://reg.test:17443")
    assert sent_to(await past.get(1)) == there
    connections.append(Connection(("192.0.2.1", 40001), ("192.0.2.5", 17443), True, 0))
    for _ in range(2):
        assert sent_to(await past.get(1)) == there
    connections.pop()
    assert sent_to(await past.get(1)) == ""


async def test_without_credentials_the_relay_is_the_second_choice(relayed: Node) -> None:
    relayed.context.configure(relayed.interceptor, metahub_layers_port=17443)
    for layer in range(3):
        assert sent_to(await relayed.get(layer)) == blob(layer, "https://reg.test:17443")
        assert sent_to(await relayed.get(layer)) == ""
    assert sent_to(await relayed.get(3)).startswith("http://127.0.0.1:")


async def test_other_registries_are_a_new_beginning(relayed: Node) -> None:
    """Their ports are numbered anew: what was found of the old ones counts no more."""
    relayed.registries.answers["reg.test"] = False
    assert sent_to(await relayed.get(1, **TOKEN)) == ""
    relayed.registries.answers.clear()
    relayed.context.configure(relayed.interceptor, metahub_registries=["reg.test", "a.test:444"])
    assert sent_to(await relayed.get(2, **TOKEN))


MANIFEST = json.dumps({"mediaType": DOCKER_MANIFEST, "config": {"digest": digest(7)}}).encode()
BY_DIGEST, BY_TAG = f"{REGISTRY}/v2/a/b/manifests/{digest(5)}", f"{REGISTRY}/v2/a/b/manifests/t"


async def streamed(node: Node, flow: http.HTTPFlow, *chunks: bytes) -> bytes:
    """What a client gets of an answer that is streamed."""
    answer(flow, Content_Type=DOCKER_MANIFEST)
    assert flow.response
    flow.response.stream = True
    await node.addon.responseheaders(flow)
    stream = flow.response.stream
    assert stream
    if stream is True:
        return b"".join(chunks)
    parts = [stream(chunk) for chunk in (*chunks, b"")]
    return b"".join(part if isinstance(part, bytes) else b"".join(part) for part in parts)


@pytest.mark.parametrize("url", [BY_DIGEST, BY_TAG])
async def test_a_configuration_goes_through(relayed: Node, url: str) -> None:
    """A runtime that does not get it gives the pull up."""
    flow = request_flow(url)
    assert await streamed(relayed, flow, MANIFEST[:30], MANIFEST[30:]) == MANIFEST
    assert sent_to(await relayed.get(7, **TOKEN)) == ""
    assert sent_to(await relayed.get(8, **TOKEN))


async def test_a_configuration_of_a_manifest_that_is_at_hand_goes_through(relayed: Node) -> None:
    flow = request_flow(BY_TAG)
    answer(flow, body=MANIFEST)
    assert flow.response
    flow.response.stream = False
    await relayed.addon.responseheaders(flow)
    relayed.addon.response(flow)
    assert sent_to(await relayed.get(7, **TOKEN)) == ""


async def test_what_is_too_long_for_a_manifest_passes_and_is_not_kept(relayed: Node) -> None:
    chunks = [MANIFEST[:-1], *[b" " * 1024**2] * 6, b"}"]
    assert await streamed(relayed, request_flow(BY_DIGEST), *chunks) == b"".join(chunks)
    assert sent_to(await relayed.get(7, **TOKEN))


async def test_bodies_that_are_no_manifest_are_not_looked_at(relayed: Node) -> None:
    flow = request_flow(f"{REGISTRY}/v2/a/b/referrers/{digest(5)}")
    await streamed(relayed, flow, MANIFEST)
    assert flow.response
    assert flow.response.stream is True


REDIRECTS = [
    ("https://layers.test/x", 307, Endpoint("layers.test", 443)),
    ("https://Layers.test:8443/x?sig=1", 302, Endpoint("layers.test", 8443)),
    ("http://layers.test/x", 303, Endpoint("layers.test", 80)),
    ("//layers.test/x", 308, Endpoint("layers.test", 443)),
    ("https://[2001:db8::9]/x", 301, Endpoint("2001:db8::9", 443)),
    ("https://layers.test/v2/a/b/blobs/x", 307, None),
    ("/elsewhere", 307, None),
    ("https://reg.test:8443/x", 307, None),
    ("https://layers.test/x", 200, None),
    ("https://layers.test:port/x", 307, None),
    ("https://layers.test:99999/x", 307, None),
    ("https://[layers/x", 307, None),
    ("https:///x", 307, None),
    ("", 307, None),
]


@pytest.mark.parametrize(("location", "status", "learned"), REDIRECTS)
async def test_hosts_that_only_serve_layers_are_learned(
    node: Node, location: str, status: int, learned: Endpoint | None
) -> None:
    flow = request_flow(blob(1), sni="reg.test")
    await node.addon.requestheaders(flow)
    answer(flow, status, Location=location)
    assert flow.response
    flow.response.stream = True
    await node.addon.responseheaders(flow)
    known = node.interceptor.interception
    for endpoint in (Endpoint("layers.test", 443), learned or Endpoint("reg.test", 443)):
        alone = "serves layers only" if endpoint == learned else ""
        assert known.leave(endpoint, lambda: 0) == alone
    assert flow.response.stream is True


@pytest.mark.parametrize(
    ("registry", "sni"),
    [
        ("http://reg.test", None),
        ("http://reg.test", "reg.test"),
        ("https://reg.test", "users.test"),
        ("https://reg.test", None),
    ],
)
async def test_what_tls_does_not_vouch_for_teaches_nothing(
    node: Node, registry: str, sni: str | None
) -> None:
    """Any user of the node could have any host left alone, by a server of its own."""
    flow = request_flow(blob(1, registry), mode="transparent", sni=sni)
    await node.addon.requestheaders(flow)
    answer(flow, 307, Location="https://192.0.2.9/x")
    await node.addon.responseheaders(flow)
    known = node.interceptor.interception
    assert known.leave(Endpoint("192.0.2.9", 443), lambda: 0) == ""
    assert node.signalled == []


async def test_a_registry_that_is_named_is_none_that_only_serves_layers(node: Node) -> None:
    node.context.configure(node.interceptor, metahub_registries=["reg.test", "hub.test"])
    flow = request_flow(blob(1), sni="reg.test")
    await node.addon.requestheaders(flow)
    answer(flow, 307, Location="https://hub.test/x")
    await node.addon.responseheaders(flow)
    assert node.interceptor.interception.leave(Endpoint("hub.test", 443), lambda: 0) == ""


async def test_redirects_of_other_requests_teach_nothing(node: Node) -> None:
    flow = request_flow(BY_TAG, sni="reg.test")
    await node.addon.requestheaders(flow)
    answer(flow, 307, Location="https://layers.test/x")
    await node.addon.responseheaders(flow)
    assert node.interceptor.interception.leave(Endpoint("layers.test", 443), lambda: 0) == ""


@pytest.mark.parametrize(
    ("mode", "host", "signalled"),
    [
        ("transparent", "192.0.2.9", {"192.0.2.9"}),
        ("transparent", "[2001:db8::9]", {"2001:db8::9"}),
        ("transparent", "not..a.name", set()),
        ("regular", "192.0.2.9", set()),
    ],
)
async def test_the_addresses_of_layers_are_let_past_before_a_client_comes(
    node: Node, mode: str, host: str, signalled: set[str]
) -> None:
    for _ in range(2):
        flow = request_flow(blob(1), mode=mode, sni="reg.test")
        await node.addon.requestheaders(flow)
        answer(flow, 307, Location=f"https://{host}/x")
        await node.addon.responseheaders(flow)
    assert {*node.signalled} == signalled
    assert len(node.signalled) <= 3, "resolved once, each kind of socket an entry"


async def test_a_taken_port_is_named_and_the_old_one_serves_on(relayed: Node) -> None:
    port = relayed.context.options.metahub_relay_port
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(exceptions.OptionsError, match=f"metahub_relay_port: {taken}: "):
            relayed.context.configure(relayed.addon, metahub_relay_port=taken)
    assert sent_to(await relayed.get(**TOKEN)).startswith(f"http://127.0.0.1:{port}/")
    socket.create_connection(("127.0.0.1", port), 5).close()


@pytest.mark.parametrize("port", [-1, 65536])
async def test_what_is_no_port_is_named(node: Node, port: int) -> None:
    with pytest.raises(exceptions.OptionsError, match=f"metahub_relay_port: {port}: "):
        node.context.configure(node.addon, metahub_relay_port=port)


async def test_the_port_is_free_when_the_option_is_off(relayed: Node) -> None:
    port = relayed.context.options.metahub_relay_port
    relayed.context.configure(relayed.addon, metahub_relay_port=0)
    socket.create_server(("127.0.0.1", port)).close()
    assert sent_to(await relayed.get(**TOKEN)) == ""
