"""Which TLS connections a real proxy takes, and which are left alone end to end."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from integration.conftest import FAMILY, NAME
from integration.test_proxy import url
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, serving
from support.mitmdump import Mitmdump, mitmdump
from support.through import issuer_through, trusting

pytestmark = pytest.mark.real
OWN, PROXYS = "test CA", "mitmproxy"


@dataclass(frozen=True)
class Node:
    """A proxy that trusts the registries' authority, and takes some of them only."""

    proxy: Mitmdump
    trust: dict[str, Path]  # by issuer
    named: EmbeddedRegistry
    refused: EmbeddedRegistry
    shared: EmbeddedRegistry
    unnamed: EmbeddedRegistry
    unknown: EmbeddedRegistry
    silent: EmbeddedRegistry

    def issuer(self, registry: EmbeddedRegistry, trusts: str) -> str:
        port = self.proxy.ports[0]
        return issuer_through(port, "localhost", registry.port, self.trust[trusts])

    def client(self) -> httpx.Client:
        """A client that trusts the proxy's CA."""
        return httpx.Client(
            proxy=f"http://127.0.0.1:{self.proxy.ports[0]}",
            verify=trusting(self.trust[PROXYS]),
            headers={"User-Agent": "docker/26"},
            trust_env=False,
        )


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder, other = tmp_path_factory.mktemp("tls"), tmp_path_factory.mktemp("other")
    ca, cert, key = map(str, make_authority(folder, "127.0.0.1", "localhost"))
    other_ca, *other_files = make_authority(other, "127.0.0.1", "localhost")
    profile = folder / "profile.yaml"
    profile.write_text("machine_type: type1\nplatform: linux/amd64\nfeatures: [cpu:broadwell]\n")
    registries = [EmbeddedRegistry() for _ in range(6)]
    for registry in registries:
        registry.put_family(NAME, "list", FAMILY)
    named, refused, shared, unnamed, unknown, silent = registries
    tls = (cert, key)
    with (
        serving(named, tls),
        serving(refused, tls),
        serving(shared, tls),
        serving(unnamed, tls),
        serving(unknown, (str(other_files[0]), str(other_files[1]))),
        serving(silent, tls),
    ):
        options = [
            f"metahub_registries=localhost:{registry.port}"
            for registry in registries
            if registry is not unnamed
        ]
        # The mirror's own registry is one that is not named.
        modes = ("regular", f"reverse:https://localhost:{unnamed.port}")
        options.append(f"ssl_verify_upstream_trusted_ca={ca}")
        with mitmdump(folder / "proxy", modes, profile, options) as proxy:
            trust = {
                OWN: Path(ca),
                PROXYS: folder / "proxy" / "mitmproxy-ca-cert.pem",
                "other": other_ca,
            }
            yield Node(proxy, trust, *registries)


def test_only_what_is_named_is_taken(node: Node) -> None:
    assert node.issuer(node.named, PROXYS) == PROXYS
    assert node.issuer(node.unnamed, OWN) == OWN
    with node.client() as client:
        answer = client.get(f"https://localhost:{node.named.port}{url('list')}")
    assert answer.headers["X-Metahub-Features"] == "cpu:broadwell"


def test_a_client_that_refuses_the_proxys_ca_gets_through_at_its_second_try(node: Node) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        node.issuer(node.refused, OWN)
    node.proxy.wait_for(f"localhost:{node.refused.port}: a client does not trust the proxy's CA")
    assert node.issuer(node.refused, OWN) == OWN


def test_but_takes_nothing_from_those_who_accept_it(node: Node) -> None:
    assert node.issuer(node.shared, PROXYS) == PROXYS
    with pytest.raises(ssl.SSLCertVerificationError):
        node.issuer(node.shared, OWN)
    log = node.proxy.wait_for(f"localhost:{node.shared.port}: a client does not trust")
    assert "others do, so it stays intercepted" in log
    assert node.issuer(node.shared, PROXYS) == PROXYS
    with pytest.raises(ssl.SSLCertVerificationError):
        node.issuer(node.shared, OWN)


def test_a_registry_that_the_proxy_cannot_verify_is_left_alone_at_the_second_try(
    node: Node,
) -> None:
    with node.client() as client:
        answer = client.get(f"https://localhost:{node.unknown.port}{url('list')}")
    assert answer.status_code == 502
    assert node.unknown.seen == []
    node.proxy.wait_for(f"localhost:{node.unknown.port}: left alone for 300 s: ")
    assert node.issuer(node.unknown, "other") == OWN, "every such authority bears this name"


def test_a_registry_that_gives_no_answer_is_left_to_the_clients_next_try(node: Node) -> None:
    def hang_up(handler: Handler) -> None:
        handler.close_connection = True

    node.silent.faults["/v2/"] = hang_up
    with node.client() as client:
        answer = client.get(f"https://localhost:{node.silent.port}{url('list')}")
    assert answer.status_code == 502
    node.proxy.wait_for(f"localhost:{node.silent.port}: left alone for 20 s: ")
    assert node.issuer(node.silent, OWN) == OWN


def mirror(node: Node, method: str, path: str) -> httpx.Response:
    address = f"http://127.0.0.1:{node.proxy.ports[1]}"
    headers = {"User-Agent": "containerd/1.7.20"}
    return httpx.request(method, f"{address}{path}", headers=headers, trust_env=False)


def test_a_mirror_asks_the_registry_that_its_client_names(node: Node) -> None:
    """Over TLS that is verified for that registry's name."""
    for listing in (node.named, node.unnamed):
        listing.seen.clear()
    ns = f"?ns=localhost:{node.named.port}"
    for method in ("HEAD", "GET"):
        answer = mirror(node, method, url("list") + ns)
        assert answer.headers["X-Metahub-Features"] == "cpu:broadwell"
        by_digest = answer.headers["Docker-Content-Digest"]
        assert mirror(node, method, url(by_digest) + ns).status_code == 200
    assert node.unnamed.seen == []
    without = mirror(node, "HEAD", url("list"))
    assert without.status_code == 200
    assert len(node.unnamed.seen) == 1


def test_a_mirror_leaves_layers_to_the_registry(node: Node) -> None:
    digest, layer = next(iter(node.named.blobs.items()))
    node.named.seen.clear()
    path = f"/v2/{NAME}/blobs/{digest}"
    for _ in range(2):
        answer = mirror(node, "GET", f"{path}?ns=localhost:{node.named.port}")
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["code"] == "BLOB_UNKNOWN"
    assert node.named.seen == []
    assert mirror(node, "GET", path).content == layer, "without a name it is the listener's"
