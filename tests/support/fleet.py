"""Machines of eight types that pull the same images at once, as runtimes do.

Every image of the fleet has a child for each type and one that runs anywhere, and no two
children are alike: who got which, and how often a registry was asked, can be told exactly.
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from support.embedded_registry import DOCKER_LIST, DOCKER_MANIFEST, index_of, sha256
from support.lean_client import RUNTIME, Answer, Connection, Place

ACCOUNT, PASSWORD = "fleet", "the fleet's"
TYPES: dict[str, tuple[str, ...]] = {
    "type1": ("cpu:broadwell",),
    "type2": ("cpu:skylake_avx512",),
    "type3": ("cpu:zen2",),
    "type4": ("cpu:broadwell", "nvcap:5.2"),
    "type5": ("cpu:zen4",),
    "type6": ("cpu:zen3", "nvcap:8.0"),
    "type7": ("cpu:icelake",),
    "type8": ("cpu:sapphirerapids", "nvcap:9.0"),
}
CHILDREN = len(TYPES) + 1
_SECONDS = 60.0


class Put(Protocol):
    """Stores a manifest or index under its digest, and a tag if there is one."""

    def __call__(self, document: dict[str, Any], tag: str = "") -> dict[str, Any]:
        """The descriptor."""
        ...


@dataclass(frozen=True, slots=True)
class Image:
    """A tag, its index's digest, and each machine type's child."""

    name: str
    tag: str
    index: str
    children: dict[str, str]

    @property
    def path(self) -> str:
        """The path of the tag's manifest."""
        return f"/v2/{self.name}/manifests/{self.tag}"

    def by_digest(self, digest: str) -> str:
        """The path of a manifest in its repository."""
        return f"/v2/{self.name}/manifests/{digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One of the fleet; as podman it asks for a tag's manifest at once, without a HEAD."""

    type: str
    login: str
    is_podman: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A manifest that a machine got for a tag, and the seconds that each request took.

    `resolved` is the HEAD's, None where there was none.
    """

    machine: Machine
    path: str
    digest: str
    features: str
    resolved: float | None
    fetched: float


def basic(user: str, password: str) -> str:
    """The Authorization header of a login."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def hub_config(hashed: str, upstream: str, user: str, password_file: str) -> str:
    """A hub's file: one account, all types, and the hub's own login at a registry."""
    types = "".join(
        f"  - {{name: {name}, platform: linux/amd64, features: [{', '.join(features)}]}}\n"
        for name, features in TYPES.items()
    )
    return f"""user: {ACCOUNT}
password: "{hashed}"
types:
{types}upstreams:
  - {{url: "{upstream}", username: {user}, password_file: {password_file}}}
"""


def publish(put: Put, name: str, tag: str, blobs: Sequence[dict[str, Any]]) -> Image:
    """Put an image that is unlike all others, whose children have these config and layers."""
    config, *layers = blobs
    made: dict[str, str] = {}
    listed = []
    for machine, features in {"": (), **TYPES}.items():
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": config,
            "layers": layers,
            "annotations": {"of": f"{name}:{tag} {machine}"},
        }
        child = put(document)
        made[machine] = child["digest"]
        platform: dict[str, Any] = {"os": "linux", "architecture": "amd64"}
        listed.append(
            {**child, "platform": platform | ({"features": features} if features else {})}
        )
    index = put(index_of(listed, DOCKER_LIST), tag)
    return Image(name, tag, index["digest"], made)


def fleet_of(count: int, podman_every: int = 4) -> list[Machine]:
    """So many machines, the types in turn; each so many-th has podman."""
    names = list(TYPES)
    return [
        Machine(
            type=names[at % len(names)],
            login=basic(f"{ACCOUNT}-{names[at % len(names)]}", PASSWORD),
            # Counted within a type: all types have both.
            is_podman=at // len(names) % podman_every == podman_every - 1,
        )
        for at in range(count)
    ]


@asynccontextmanager
async def greeted(place: Place) -> AsyncIterator[Connection]:
    """A new connection, on which a machine has asked what it is talking to."""
    connection = await asyncio.wait_for(Connection.open(place), _SECONDS)
    try:
        greeting = await connection.ask("GET", "/v2/", {"User-Agent": RUNTIME["User-Agent"]})
        assert greeting.status in (200, 401), greeting
        yield connection
    finally:
        connection.close()


async def pull(connection: Connection, machine: Machine, path: str, login: str = "") -> Pulled:
    """Ask for an image's manifest as a runtime does.

    `path` is an image's; `login` stands in for the machine's own.
    Raises AssertionError for whatever is not answered as it should be.
    """
    headers = {**RUNTIME, "Authorization": login or machine.login}
    began = time.perf_counter()
    head, reference, resolved = None, path, began
    if not machine.is_podman:
        head = await _asked(connection, "HEAD", path, headers)
        reference = f"{path.rpartition('/')[0]}/{head.header('Docker-Content-Digest')}"
        resolved = time.perf_counter()
    got = await _asked(connection, "GET", reference, headers)
    fetched = time.perf_counter()
    named = head or got
    digest = named.header("Docker-Content-Digest")
    assert sha256(got.body) == digest, (path, digest)
    return Pulled(
        machine=machine,
        path=path,
        digest=digest,
        features=named.header("X-Metahub-Features"),
        resolved=resolved - began if head else None,
        fetched=fetched - resolved,
    )


async def _asked(
    connection: Connection, method: str, path: str, headers: Mapping[str, str]
) -> Answer:
    answer = await asyncio.wait_for(connection.ask(method, path, headers), _SECONDS)
    assert answer.status == 200, (method, path, answer)
    return answer
