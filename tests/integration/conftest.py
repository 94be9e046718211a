"""A registry with MetaHub's image family, and a real mitmdump in front of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from support.embedded_registry import OCI_INDEX, EmbeddedRegistry, serving
from support.mitmdump import Mitmdump, mitmdump

FAMILY: tuple[list[str], ...] = (
    [],
    ["cpu:broadwell"],
    ["cpu:skylake"],
    ["cpu:broadwell", "nvcap:5.2"],
)
NAME = "qnib/bench"


@dataclass(frozen=True)
class Node:
    """A proxied host: its registry, its mitmdump, its profile, and a client of each mode."""

    registry: EmbeddedRegistry
    proxy: Mitmdump
    profile: Path
    direct: httpx.Client
    reverse: httpx.Client
    regular: httpx.Client

    def use(self, machine: str, *more: str) -> None:
        """Change the profile."""
        text = f"machine_type: {machine}\nplatform: linux/amd64\n" + "".join(
            f"{line}\n" for line in more
        )
        self.profile.write_text(text)


def as_type(node: Node, number: int) -> None:
    """Make the host one of MetaHub's machine types."""
    features = {
        1: "[cpu:broadwell]",
        2: "[cpu:skylake]",
        3: "[cpu:coffeelake]",
        4: "[cpu:broadwell, nvcap:5.2]",
    }[number]
    node.use(f"type{number}", f"features: {features}")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    profile = folder / "profile.yaml"
    profile.write_text("machine_type: type1\nplatform: linux/amd64\nfeatures: [cpu:broadwell]\n")
    registry = EmbeddedRegistry()
    with serving(registry):
        upstream = f"http://127.0.0.1:{registry.port}"
        modes = ("regular", f"reverse:{upstream}")
        with mitmdump(folder, modes, profile, ["metahub_timeout=2"]) as proxy:
            agent = {"User-Agent": "docker/20.10.24 go/go1.19", "Accept": "*/*"}
            with (
                httpx.Client(base_url=upstream, headers=agent, trust_env=False) as direct,
                httpx.Client(
                    base_url=f"http://127.0.0.1:{proxy.ports[1]}", headers=agent, trust_env=False
                ) as reverse,
                httpx.Client(
                    base_url=upstream,
                    headers=agent,
                    proxy=f"http://127.0.0.1:{proxy.ports[0]}",
                    trust_env=False,
                ) as regular,
            ):
                yield Node(registry, proxy, profile, direct, reverse, regular)


@pytest.fixture
def node(running: Node, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node as type1 whose registry holds nothing but the family, in a repository per test."""
    registry = running.registry
    registry.manifests.clear()
    registry.faults.clear()
    registry.tokens.clear()
    registry.huge_blob = 0
    as_type(running, 1)
    registry.put_family(NAME, "list", FAMILY)
    registry.put_family(NAME, "oci", FAMILY, OCI_INDEX)
    registry.seen.clear()
    yield running
    registry.faults.clear()


@pytest.fixture
def fresh(node: Node, request: pytest.FixtureRequest) -> str:
    """A repository that the proxy has never seen, with the family under `list`."""
    name = "fresh/" + str(abs(hash(request.node.nodeid)))
    node.registry.put_family(name, "list", FAMILY)
    return name
