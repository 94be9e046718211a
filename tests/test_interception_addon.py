"""The hooks by themselves; integration/test_interception.py has them in a real proxy."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from mitmproxy import exceptions, tls
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.test import taddons

from metahub_addon.flow_repository import MIRRORED, NOT_OURS
from metahub_addon.interception import Endpoint
from metahub_addon.interception_addon import Interceptor
from support.flows import REVERSE, ProxyOptions, client_of, request_flow

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

    def __post_init__(self) -> None:
        self.addon = Interceptor(self.counts, self.signalled.append)
        self.context = taddons.context(ProxyOptions(), self.addon)

    def configure(self, *registries: str, layers_port: int = 0) -> None:
        self.context.configure(
            self.addon, metahub_registries=list(registries), metahub_layers_port=layers_port
        )


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    with made.context:
        yield made


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
    ("mode", "signalled"), [("transparent", ["192.0.2.9"]), ("regular", []), (REVERSE, [])]
)
async def test_the_firewall_hears_of_hosts_of_layers(
    node: Node, mode: str, signalled: list[str]
) -> None:
    """Only where it redirects, and of nothing else that is left alone."""
    node.addon.interception.note_layers(REGISTRY, LAYERS)
    node.addon.interception.note_broken(REGISTRY)
    hello(node, connection("layers.test", ("192.0.2.9", 443), mode))
    hello(node, connection("reg.test", ("192.0.2.1", 443), mode))
    assert node.signalled == signalled


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


@pytest.mark.parametrize("mode", ["regular", REVERSE])
@pytest.mark.parametrize("error", [None, "", "The client disconnected during the handshake."])
async def test_a_line_that_went_down_is_no_lack_of_trust(
    node: Node, mode: str, error: str | None
) -> None:
    node.addon.tls_failed_client(failed(connection(mode=mode), error))
    node.addon.tls_failed_server(failed(connection(mode=mode), error))
    assert not hello(node, connection())
    assert not node.counts


async def test_a_mirrors_client_without_trust_says_nothing_of_registries(node: Node) -> None:
    context = connection(mode=REVERSE)
    node.addon.tls_failed_client(failed(context, NO_TRUST))
    node.addon.tls_failed_server(failed(context, "Certificate verify failed: unable to get"))
    node.addon.tls_established_client(tls.TlsData(context.client, context))
    assert not hello(node, connection())
    assert not node.counts


async def test_a_registry_without_trust_is_left_alone(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    error = "Certificate verify failed: self-signed certificate"
    node.addon.tls_failed_server(failed(connection(), error))
    assert hello(node, connection())
    assert f"reg.test:443: left alone for 5 minutes: {error}" in caplog.text
    assert node.counts["registries without trust"] == 1


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
    flow = request_flow(f"https://layers.test{path}")
    node.addon.requestheaders(flow)
    assert NOT_OURS not in flow.metadata
    assert hello(node, connection("layers.test")) is not is_registry


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
