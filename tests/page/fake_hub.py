"""A hub without registries and files: accounts, machine types and images from memory."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from threading import Thread
from types import MappingProxyType
from typing import Any

import yaml
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from metahub_addon.hub import Crossed, ImageProblem, Matrix, NotAllowed
from metahub_addon.hub_config import Account, HubConfig, NetworkRule, ReadOnly
from metahub_addon.hub_login_check import LoginRefused
from metahub_addon.index import Index, parse_index
from metahub_addon.machine import MachineType
from metahub_addon.metrics import Metrics
from metahub_addon.oci_platform import Platform
from metahub_addon.profile_parser import parse_profile
from metahub_addon.recent import Gap, Made
from metahub_addon.selection import choose
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.type_digest import digest_of
from metahub_addon.web_parts import WebParts
from metahub_addon.web_server import WebServer, make_application

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PASSWORD = "correct horse battery staple"
START = datetime(2025, 11, 20, 9, 30, tzinfo=UTC)
# What an attacker would have a page say; each of it must arrive as text.
HOSTILE = "\"'><script>alert(1)</script><img/src=x/onerror=alert(2)>{{handler}}"

TYPES = {
    "type1": ("linux/amd64", ["cpu:broadwell"]),
    "type2": ("linux/amd64", ["cpu:skylake"]),
    "type3": ("linux/amd64", ["cpu:coffeelake"]),
    "type4": ("linux/amd64", ["cpu:broadwell", "nvcap:5.2"]),
    "graviton": ("linux/arm64", ["cpu:neoverse_n1"]),
}
IMAGES = {
    "qnib/bench:latest": (
        ("linux/amd64", ()),
        ("linux/amd64", ("cpu:broadwell",)),
        ("linux/amd64", ("cpu:skylake",)),
        ("linux/amd64", ("cpu:coffeelake",)),
        ("linux/amd64", ("cpu:broadwell", "nvcap:5.2")),
        ("linux/arm64", ()),
    ),
    "qnib/gpu-only:v1": (("linux/amd64", ("nvcap:9.0", "cuda:12.4")),),
}


def machine_type(name: str, platform: str, features: Sequence[str]) -> MachineType:
    text = yaml.safe_dump({"name": name, "platform": platform, "features": list(features)})
    return parse_profile(text, "machine-types.yaml", _here).machine


def make_index(*children: tuple[str, Sequence[str]]) -> Index:
    manifests = []
    for at, (platform, features) in enumerate(children, 1):
        system, architecture = platform.split("/")
        digest = f"sha256:{(at * 0x9E3779B97F4A7C15) % 2**64:016x}" + "0" * 48
        manifests.append(
            {
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": 500 + at,
                "platform": {"os": system, "architecture": architecture},
                "annotations": {"org.metahub.features": ",".join(features)},
            }
        )
    return parse_index(json.dumps({"schemaVersion": 2, "manifests": manifests}).encode(), OCI_INDEX)


def make_config() -> HubConfig:
    types = {name: machine_type(name, *rest) for name, rest in TYPES.items()}
    names = tuple(types)
    accounts = (
        Account(user="qnib", password="hash of qnib", types=names, administrator=True),
        Account(user="ops", password="hash of ops", types=("type4",), own_type="type4"),
        Account(user="nobody", password="hash of nobody"),
    )
    return HubConfig(
        types=MappingProxyType(types),
        accounts=MappingProxyType({account.user: account for account in accounts}),
        networks=(NetworkRule(network=ip_network("192.0.2.0/24"), type="type2"),),
    )


@dataclass
class FakeHub:
    """Every account's password is PASSWORD; the third wrong one in a row has to wait."""

    config: HubConfig = field(default_factory=make_config)
    indexes: dict[str, Index] = field(
        default_factory=lambda: {name: make_index(*rest) for name, rest in IMAGES.items()}
    )
    made: list[Made] = field(default_factory=list)
    missed: list[Gap] = field(default_factory=list)
    read_only: bool = False
    not_ready: str = ""
    addresses: list[str] = field(default_factory=list)
    wrong: int = 0

    async def refresh(self) -> HubConfig:
        return self.config

    async def log_in(self, user: str, password: str, address: str) -> Account:
        self.addresses.append(address)
        account = self.config.accounts.get(user)
        if account is None or password != PASSWORD:
            self.wrong += 1
            if self.wrong >= 3:
                raise LoginRefused("too many wrong passwords, try again later", 4.2)
            raise LoginRefused("wrong user or password")
        self.wrong = 0
        return account

    async def matrix(self, account: Account, image: str) -> Matrix:
        index = self.indexes.get(image)
        if index is None:
            raise ImageProblem(f"{image}: the registry has no such image")
        machines = self.config.types_of(account).values()
        decisions = tuple(choose(index, machine) for machine in machines)
        return Matrix(image=image, digest="sha256:" + "12ab" * 16, decisions=decisions)

    def decisions(self, account: Account) -> Sequence[Made]:
        return [
            one if account.administrator else replace(one, account="")
            for one in self.made
            if account.types
        ]

    def gaps(self, account: Account) -> Sequence[Gap]:
        return [one for one in self.missed if account.types]

    async def put_type(
        self, account: Account, text: Mapping[str, Any], shown: str | None = None
    ) -> None:
        self._check(account)
        self._compare(str(text["name"]), shown)
        written = yaml.safe_dump(dict(text))
        machine = parse_profile(written, "machine-types.yaml", _here).machine
        self._set_types({**self.config.types, machine.name: machine})

    async def remove_type(self, account: Account, name: str, shown: str | None = None) -> None:
        self._check(account)
        self._compare(name, shown)
        for rule in self.config.networks:
            if rule.type == name:
                raise InvalidYaml(f"machine-types.yaml:9: networks[0]: names type {name}")
        self._set_types({key: one for key, one in self.config.types.items() if key != name})

    async def is_ready(self) -> str:
        return self.not_ready

    def change_password(self, user: str) -> None:
        accounts = dict(self.config.accounts)
        accounts[user] = replace(accounts[user], password="another hash")
        self.config = replace(self.config, accounts=MappingProxyType(accounts))

    def pull(self, image: str, type_name: str, user: str = "qnib") -> None:
        """Note what a pull through a hub would leave behind."""
        when = START + timedelta(minutes=7 * len(self.made), seconds=13 * len(self.made))
        decision = choose(self.indexes[image], self.config.types[type_name])
        one = Made(
            when=when,
            account=f"{user}",
            repository=image.partition(":")[0],
            image=image,
            decision=decision,
        )
        self.made.insert(0, one)
        if decision.chosen is None:
            self.miss(image, type_name, ", ".join(map(str, decision.machine.features)))

    def miss(self, image: str, type_name: str, wanted: str = "") -> None:
        self.missed.append(
            Gap(
                repository=image.partition(":")[0],
                image=image,
                machine=type_name,
                wanted=wanted,
                count=len(self.missed) * 11 + 2,
                first=START,
                last=START + timedelta(hours=3),
            )
        )

    def _check(self, account: Account) -> None:
        if not account.administrator:
            raise NotAllowed(f"{account.user} is no administrator")
        if self.read_only:
            raise ReadOnly("machine-types.yaml: can't be written")

    def change_type(self, name: str, *features: str) -> None:
        """What another administrator does meanwhile; without features the type is removed."""
        types = {key: one for key, one in self.config.types.items() if key != name}
        if features:
            types[name] = machine_type(name, "linux/amd64", features)
        self._set_types(types)

    def _compare(self, name: str, shown: str | None) -> None:
        if shown is not None and shown != digest_of(self.config.types.get(name)):
            raise Crossed(f"machine type {name} is another by now")

    def _set_types(self, types: Mapping[str, MachineType]) -> None:
        # Accounts that may be every type may be a new one, too.
        accounts = {
            user: replace(account, types=tuple(types)) if account.administrator else account
            for user, account in self.config.accounts.items()
        }
        self.config = replace(
            self.config, types=MappingProxyType(types), accounts=MappingProxyType(accounts)
        )


def busy_hub() -> FakeHub:
    """A hub that machines have pulled from."""
    hub = FakeHub()
    for name in ("type1", "type2", "type4", "graviton", "type3", "type1"):
        hub.pull("qnib/bench:latest", name)
    hub.pull("qnib/gpu-only:v1", "type4", "ops")
    hub.miss("qnib/bench:2019", "type2")
    return hub


def hostile_hub() -> FakeHub:
    """A hub whose images, features, machine types and accounts are an attacker's."""
    hub = FakeHub()
    types = {**hub.config.types, HOSTILE: replace(hub.config.types["type1"], name=HOSTILE)}
    account = Account(user=HOSTILE, password="x", types=tuple(types), administrator=True)
    hub.config = replace(
        hub.config,
        types=MappingProxyType(types),
        accounts=MappingProxyType({**hub.config.accounts, HOSTILE: account}),
    )
    hub.indexes[HOSTILE] = make_index(("linux/amd64", (f"x:{HOSTILE}",)), ("linux/amd64", ()))
    hub.pull(HOSTILE, HOSTILE, HOSTILE)
    hub.miss(HOSTILE, HOSTILE, HOSTILE)
    return hub


def make_server(hub: FakeHub | None, reason: str = "") -> HTTPServer:
    """The page's server in front of a hub; `reason`: why the node is not ready."""
    metrics = Metrics("0.0.0", Counter(rewritten=2), ())
    parts = WebParts(hub=lambda: hub, is_ready=lambda: reason, metrics=metrics)
    return WebServer(make_application(parts), None)


@contextmanager
def serving(hub: FakeHub) -> Iterator[str]:
    """The page in a thread of its own, on a free port of loopback; its base URL."""
    sockets = bind_sockets(0, "127.0.0.1")
    loop = asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        server = make_server(hub)
        server.add_sockets(sockets)
        await ended.wait()
        assert isinstance(server, WebServer)
        server.shut_down()
        await asyncio.sleep(0)

    thread = Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}/"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def _here() -> Platform:
    return Platform("linux", "amd64")
