"""200 machines of eight types pull 20 tags at once: each gets its own child of each.

The registry behind the hub is asked for every index and every child once, by the hub.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bcrypt
import pytest

from support.embedded_registry import EmbeddedRegistry, serving
from support.fleet import (
    PASSWORD,
    TYPES,
    Image,
    Machine,
    Pulled,
    basic,
    fleet_of,
    greeted,
    hub_config,
    publish,
    pull,
)
from support.lean_client import Place
from support.mitmdump import Mitmdump, mitmdump

pytestmark = pytest.mark.real
MACHINES, TAGS, REPOSITORIES = 200, 20, 4
UPSTREAM_USER, UPSTREAM_PASSWORD = "puller", "upstream-secret"
BLOB = {"mediaType": "application/octet-stream", "digest": f"sha256:{'0' * 64}", "size": 1}


@dataclass(frozen=True)
class Site:
    """A hub, the registry behind it, and what that one offers, by path."""

    hub: Mitmdump
    registry: EmbeddedRegistry
    images: dict[str, Image]

    @property
    def place(self) -> Place:
        return Place(address="127.0.0.1", port=self.hub.ports[0], host="hub.test")

    def asked(self, method: str) -> Counter[str]:
        return Counter(self.registry.asked(method))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, registry = tmp_path_factory.mktemp("fleet"), EmbeddedRegistry()
    login = basic(UPSTREAM_USER, UPSTREAM_PASSWORD)
    published = [_published(registry, at) for at in range(TAGS)]
    images = {image.path: image for image in published}
    registry.tokens |= {image.name: login for image in images.values()}
    password = folder / "password"
    password.write_text(UPSTREAM_PASSWORD)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    file = folder / "machine-types.yaml"
    with serving(registry):
        upstream = f"http://127.0.0.1:{registry.port}"
        file.write_text(hub_config(hashed, upstream, UPSTREAM_USER, str(password)))
        options = [f"metahub_machine_types={file}"]
        with mitmdump(folder, [f"reverse:{upstream}"], None, options) as hub:
            yield Site(hub, registry, images)


def _published(registry: EmbeddedRegistry, at: int) -> Image:
    name, tag = f"fleet/app{at % REPOSITORIES}", f"v{at // REPOSITORIES}"

    def put(document: dict[str, Any], tag: str = "") -> dict[str, Any]:
        return registry.put(name, document, *filter(None, [tag]))

    return publish(put, name, tag, [BLOB, BLOB])


async def pull_all(site: Site, machines: list[Machine]) -> list[Pulled]:
    """Every machine all tags, one after the other, and all machines at once."""

    async def tags_of(machine: Machine, at: int) -> list[Pulled]:
        paths = list(site.images)
        random.Random(at).shuffle(paths)
        async with greeted(site.place) as connection:
            return [await pull(connection, machine, path) for path in paths]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(tags_of(one, at)) for at, one in enumerate(machines)]
    return [pulled for task in tasks for pulled in task.result()]


def test_every_machine_gets_its_own_child_and_the_registry_is_asked_once(site: Site) -> None:
    machines = fleet_of(MACHINES)
    assert Counter(machine.type for machine in machines) == dict.fromkeys(TYPES, 25)

    pulls = asyncio.run(pull_all(site, machines))

    assert len(pulls) == MACHINES * TAGS
    for pulled in pulls:
        image = site.images[pulled.path]
        assert pulled.digest == image.children[pulled.machine.type]
        assert pulled.features == ",".join(TYPES[pulled.machine.type])

    wanted = {
        image.by_digest(digest)
        for image in site.images.values()
        for digest in (image.index, *(image.children[name] for name in TYPES))
    }
    assert len(wanted) == TAGS * (1 + len(TYPES))
    assert site.asked("GET") == dict.fromkeys(wanted, 1)
    heads = site.asked("HEAD")
    assert heads.keys() == site.images.keys()  # what is named by digest needs none
    assert heads.total() <= len(pulls)
    # Nobody's login goes further, and the hub's own is with all but the first requests,
    # by which it learns how the registry is asked.
    sent = Counter(one.authorization for one in site.registry.seen)
    assert sent.keys() <= {"", basic(UPSTREAM_USER, UPSTREAM_PASSWORD)}
    assert sent[""] <= TAGS


def test_who_comes_later_costs_the_registry_nothing_but_heads(site: Site) -> None:
    machines = fleet_of(2 * len(TYPES), podman_every=2)
    assert {machine.is_podman for machine in machines} == {True, False}
    asyncio.run(pull_all(site, machines[: len(TYPES)]))
    site.registry.seen.clear()
    pulls = asyncio.run(pull_all(site, machines))
    assert [pulled.digest for pulled in pulls] == [
        site.images[pulled.path].children[pulled.machine.type] for pulled in pulls
    ]
    assert site.asked("GET") == {}
    assert site.asked("HEAD").keys() == site.images.keys()
    assert site.asked("HEAD").total() <= len(pulls) == len(machines) * TAGS
