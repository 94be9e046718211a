"""The ways that layers take through a real proxy: past it, by the relay, or streamed."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from integration.conftest import FAMILY, NAME, Node
from integration.test_proxy import url
from metahub_addon.registries import layers_ports, parse_registries
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, index_of, serving, sha256
from support.mitmdump import Mitmdump, free_port, mitmdump
from support.through import free_ports, issuer_through, trusting

pytestmark = pytest.mark.real
LAYERS = [bytes([number]) * 100_000 for number in range(4)]
TOKEN = {"Authorization": "Bearer right-and-secret"}
PROFILE = "machine_type: type1\nplatform: linux/amd64\nfeatures: [cpu:broadwell]\n"


def layer(number: int) -> str:
    return f"/v2/{NAME}/blobs/{sha256(LAYERS[number])}"


def filled(**more: str) -> EmbeddedRegistry:
    blobs = {sha256(body): body for body in LAYERS}
    registry = EmbeddedRegistry(blobs=blobs, tokens={NAME: TOKEN["Authorization"]} | more)
    registry.put_family(NAME, "list", FAMILY)
    return registry


def get(
    proxy: Mitmdump,
    registry: EmbeddedRegistry,
    path: str,
    agent: str = "docker/26.1.5",
    **headers: str,
) -> httpx.Response:
    """What a client gets through the proxy; redirects are the test's to follow."""
    return httpx.get(
        f"http://127.0.0.1:{registry.port}{path}",
        headers={"User-Agent": agent, **headers},
        proxy=f"http://127.0.0.1:{proxy.ports[0]}",
        trust_env=False,
    )


@dataclass(frozen=True)
class Relaying:
    """A proxy with a relay, and its CA."""

    proxy: Mitmdump
    port: int
    ca: Path


@pytest.fixture(scope="module")
def relaying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relaying]:
    folder, port = tmp_path_factory.mktemp("relaying"), free_port()
    profile = folder / "profile.yaml"
    profile.write_text(PROFILE)
    with mitmdump(folder, ["regular"], profile, [f"metahub_relay_port={port}"]) as proxy:
        yield Relaying(proxy, port, folder / "mitmproxy-ca-cert.pem")


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    with serving(filled()) as registry:
        yield registry


def test_a_layer_with_credentials_comes_from_the_relay(
    relaying: Relaying, registry: EmbeddedRegistry
) -> None:
    answer = get(relaying.proxy, registry, layer(0), **TOKEN)
    assert answer.status_code == 307
    location = answer.headers["Location"]
    assert location.startswith(f"http://127.0.0.1:{relaying.port}/")
    assert answer.headers["Docker-Content-Digest"] == sha256(LAYERS[0])
    assert httpx.get(location, trust_env=False).content == LAYERS[0]
    assert httpx.get(location, trust_env=False).status_code == 404, "a ticket is good once"
    assert "and-secret" not in relaying.proxy.log


def test_who_comes_back_gets_that_layer_through_and_then_the_later_ones(
    relaying: Relaying, registry: EmbeddedRegistry
) -> None:
    for number in (0, 1, 2):
        assert get(relaying.proxy, registry, layer(number), **TOKEN).status_code == 307
    for number in (0, 1, 2, 3, 0):
        answer = get(relaying.proxy, registry, layer(number), **TOKEN)
        assert (answer.status_code, answer.content) == (200, LAYERS[number])
    other = get(relaying.proxy, registry, layer(3), "containerd/1.7.20", **TOKEN)
    assert other.status_code == 307, "another client has shown nothing"


def test_clients_that_might_not_follow_are_not_relayed(
    relaying: Relaying, registry: EmbeddedRegistry
) -> None:
    answer = get(relaying.proxy, registry, layer(0), "python-requests/2.32", **TOKEN)
    assert (answer.status_code, answer.content) == (200, LAYERS[0])


def test_a_refusal_reaches_the_client(relaying: Relaying, registry: EmbeddedRegistry) -> None:
    for authorization in ({}, {"Authorization": "Bearer wrong"}):
        answer = get(relaying.proxy, registry, layer(0), **authorization)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="embedded"'
    assert get(relaying.proxy, registry, layer(0), **TOKEN).status_code == 307


@pytest.mark.parametrize("reference", ["by-digest", "index", "plain"])
def test_a_configuration_is_never_redirected(
    relaying: Relaying, registry: EmbeddedRegistry, reference: str
) -> None:
    """Whether its manifest was asked for by digest, chosen from an index, or the tag's own."""
    image = registry.put_image(NAME, reference)  # each with a configuration of its own
    image["platform"] = {"os": "linux", "architecture": "amd64"}
    registry.put(NAME, index_of([image]), "index")
    registry.manifests[(NAME, "plain")] = registry.manifests[(NAME, image["digest"])]
    tag = image["digest"] if reference == "by-digest" else reference
    manifest = get(relaying.proxy, registry, url(tag), **TOKEN)
    assert sha256(manifest.content) == image["digest"]
    config, parts = manifest.json()["config"]["digest"], manifest.json()["layers"]
    for _ in range(2):
        answer = get(relaying.proxy, registry, f"/v2/{NAME}/blobs/{config}", **TOKEN)
        assert answer.status_code == 200
        assert sha256(answer.content) == config
    blob = get(relaying.proxy, registry, f"/v2/{NAME}/blobs/{parts[0]['digest']}", **TOKEN)
    assert blob.status_code == 307


def test_a_relayed_layer_of_one_gib_costs_no_memory(
    relaying: Relaying, registry: EmbeddedRegistry
) -> None:
    registry.huge_blob = 1024**3
    answer = get(relaying.proxy, registry, f"/v2/{NAME}/blobs/sha256:{'0' * 64}", **TOKEN)
    assert answer.status_code == 307
    with httpx.stream("GET", answer.headers["Location"], trust_env=False) as copied:
        size = sum(len(chunk) for chunk in copied.iter_raw())
    assert size == 1024**3
    assert relaying.proxy.peak_memory_mib() < 150


@pytest.mark.parametrize("headers", [{}, TOKEN])
def test_without_the_ports_all_layers_are_streamed(node: Node, headers: dict[str, str]) -> None:
    node.registry.blobs |= {sha256(body): body for body in LAYERS}
    for number in (0, 1, 0):
        answer = node.regular.get(layer(number), headers=headers)
        assert (answer.status_code, answer.content) == (200, LAYERS[number])


@pytest.mark.parametrize("registry_scheme", ["https", "http"])
def test_a_host_that_layers_come_from_is_left_alone(tmp_path: Path, registry_scheme: str) -> None:
    """Although all registries are taken; one that a registry sends to as a registry stays so.

    Over plain HTTP nobody vouches for the registry: then nothing is learned.
    """
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "localhost")
    tls = (str(cert), str(key))
    is_vouched = registry_scheme == "https"
    options = [f"ssl_verify_upstream_trusted_ca={ca}"]
    with (
        serving(filled(), tls if is_vouched else None) as listed,
        serving(EmbeddedRegistry(), tls) as layers,
        serving(EmbeddedRegistry(), tls) as other,
        mitmdump(tmp_path / "proxy", ["regular"], options=options) as proxy,
    ):
        proxy_ca = tmp_path / "proxy" / "mitmproxy-ca-cert.pem"
        places = {
            layer(0): f"https://127.0.0.1:{layers.port}/bucket/0?signature=1",
            layer(1): f"https://127.0.0.1:{other.port}{layer(1)}",
        }
        with httpx.Client(
            proxy=f"http://127.0.0.1:{proxy.ports[0]}", verify=trusting(proxy_ca), trust_env=False
        ) as client:
            for path, place in places.items():
                listed.faults[path] = moved_to(place)
                answer = client.get(f"{registry_scheme}://localhost:{listed.port}{path}")
                assert answer.status_code == 307
                assert answer.headers["Location"] == place
        port = proxy.ports[0]
        if is_vouched:
            assert issuer_through(port, "127.0.0.1", layers.port, ca) == "test CA"
        else:
            assert issuer_through(port, "127.0.0.1", layers.port, proxy_ca) == "mitmproxy"
        assert issuer_through(port, "127.0.0.1", other.port, proxy_ca) == "mitmproxy"


def moved_to(place: str):  # type: ignore[no-untyped-def]
    def move(handler: Handler) -> None:
        handler.reply(307, headers={"Location": place})

    return move


@dataclass(frozen=True)
class Bypassing:
    """A proxy with layers ports: of the first two registries they are served, as if by dnat.

    What was asked on a layers port is seen by `past` alone.
    """

    proxy: Mitmdump
    plain: EmbeddedRegistry
    secure: EmbeddedRegistry
    alone: EmbeddedRegistry
    past: tuple[EmbeddedRegistry, EmbeddedRegistry]
    ca: Path
    proxy_ca: Path


@pytest.fixture(scope="module")
def bypassing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bypassing]:
    folder = tmp_path_factory.mktemp("bypassing")
    ca, cert, key = make_authority(folder, "127.0.0.1", "localhost")
    tls = (str(cert), str(key))
    profile = folder / "profile.yaml"
    profile.write_text(PROFILE)
    plain, secure, alone = (replace(filled(), tokens={}) for _ in range(3))
    with ExitStack() as stack:
        for registry, files in ((plain, None), (secure, tls), (alone, None)):
            stack.enter_context(serving(registry, files))
        named = [f"127.0.0.1:{plain.port}", f"localhost:{secure.port}", f"127.0.0.1:{alone.port}"]
        base = free_ports(4)
        at = layers_ports(base, parse_registries(named).ports)
        past = (replace(plain, seen=[]), replace(secure, seen=[]))
        stack.enter_context(serving(past[0], None, at[plain.port]))
        stack.enter_context(serving(past[1], tls, at[secure.port]))
        options = [f"metahub_registries={name}" for name in named]
        options += [f"metahub_layers_port={base}", f"ssl_verify_upstream_trusted_ca={ca}"]
        proxy = stack.enter_context(mitmdump(folder / "proxy", ["regular"], profile, options))
        proxy_ca = folder / "proxy" / "mitmproxy-ca-cert.pem"
        yield Bypassing(proxy, plain, secure, alone, past, ca, proxy_ca)


def test_a_layer_goes_past_on_the_layers_port(bypassing: Bypassing) -> None:
    past = bypassing.past[0]
    for number in (0, 1):
        answer = get(bypassing.proxy, bypassing.plain, layer(number))
        assert answer.status_code == 307
        assert answer.headers["Location"] == f"http://127.0.0.1:{past.port}{layer(number)}"
        assert httpx.get(answer.headers["Location"], trust_env=False).content == LAYERS[number]
    # One question by the way itself, and the client's two requests: none to the registry's port.
    assert len(past.asked("GET", "/blobs/")) == 3
    assert bypassing.plain.asked("GET", "/blobs/") == []


def test_credentials_do_not_go_there(bypassing: Bypassing) -> None:
    bypassing.past[0].seen.clear()
    answer = get(bypassing.proxy, bypassing.plain, layer(2), "containers/5.31", **TOKEN)
    assert (answer.status_code, answer.content) == (200, LAYERS[2])
    assert bypassing.past[0].seen == []


def test_who_comes_back_from_there_gets_it_through(bypassing: Bypassing) -> None:
    agent = "skopeo/1.18"
    for number in (0, 1, 2):
        assert get(bypassing.proxy, bypassing.plain, layer(number), agent).status_code == 307
        assert get(bypassing.proxy, bypassing.plain, layer(number), agent).status_code == 200
    assert get(bypassing.proxy, bypassing.plain, layer(3), agent).status_code == 200


def test_a_second_pull_while_the_first_is_under_way_is_no_return(bypassing: Bypassing) -> None:
    agent = "containers/5.31"
    place = ("127.0.0.1", bypassing.past[0].port)
    with socket.create_connection(place, 10):
        for number in (0, 1, 2, 3) * 2:
            answer = get(bypassing.proxy, bypassing.plain, layer(number), agent)
            assert answer.status_code == 307


def test_where_nobody_serves_the_layers_port_layers_go_through(bypassing: Bypassing) -> None:
    for number in (0, 1):
        answer = get(bypassing.proxy, bypassing.alone, layer(number))
        assert (answer.status_code, answer.content) == (200, LAYERS[number])
    assert "layers can't go this way" in bypassing.proxy.log


def test_tls_to_the_layers_port_is_the_registrys_own(bypassing: Bypassing) -> None:
    port = bypassing.proxy.ports[0]
    with httpx.Client(
        proxy=f"http://127.0.0.1:{port}",
        verify=trusting(bypassing.proxy_ca),
        headers={"User-Agent": "docker/26.1.5"},
        trust_env=False,
    ) as client:
        answer = client.get(f"https://localhost:{bypassing.secure.port}{layer(0)}")
    there = bypassing.past[1].port
    assert answer.headers["Location"] == f"https://localhost:{there}{layer(0)}"
    assert issuer_through(port, "localhost", there, bypassing.ca) == "test CA"
