"""A hub in memory: its configuration, its clock, and the registry behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metahub_addon.hub import Hub
from metahub_addon.hub_config import Account, HubConfig
from metahub_addon.hub_login_check import LoginCheck
from metahub_addon.hub_registry import HubRegistry
from metahub_addon.login_throttle import LoginThrottle
from metahub_addon.passwords import Passwords, hash_password
from metahub_addon.upstream import Upstream
from support.descriptors import machine
from support.fake_registry_client import REPOSITORY, FakeRegistryClient
from support.fake_timer import FakeTimer

TYPES = {
    "type1": machine("cpu:zen2", name="type1"),
    "type2": machine("cpu:zen3", name="type2"),
}
PASSWORD = "right"
_HASH = hash_password(PASSWORD, rounds=4)


def account(user: str = "qnib", **more: Any) -> Account:
    """An account with all types, whose password is PASSWORD."""
    given: dict[str, Any] = {"password": _HASH, "types": tuple(TYPES)}
    return Account(user=user, **(given | more))


def config(*accounts: Account, **more: Any) -> HubConfig:
    named = {one.user: one for one in accounts or (account(),)}
    return HubConfig(types=TYPES, accounts=named, **more)


@dataclass
class FakeSource:
    """A configuration that changes when a test sets `changed`."""

    config: HubConfig
    changed: HubConfig | None = None
    reads: int = 0
    edits: list[str] = field(default_factory=list)

    def is_stale(self) -> bool:
        return self.changed is not None

    def current(self) -> HubConfig:
        self.reads += 1
        if self.changed is not None:
            self.config, self.changed = self.changed, None
        return self.config

    def put_type(self, text: Mapping[str, Any]) -> None:
        self.edits.append(f"put {text['name']}")
        self.changed = self.config

    def remove_type(self, name: str) -> None:
        self.edits.append(f"remove {name}")
        self.changed = self.config


@dataclass
class FakeHub:
    """A Hub and its parts; the default registry has `client`'s images as r.test."""

    config: HubConfig = field(default_factory=config)
    client: FakeRegistryClient = field(default_factory=FakeRegistryClient)
    timer: FakeTimer = field(default_factory=FakeTimer)

    def __post_init__(self) -> None:
        self.source = FakeSource(self.config)
        self.passwords = Passwords(self.timer)
        self.passwords.expect([_HASH])
        check = LoginCheck(self.passwords, LoginThrottle(self.timer))
        registry = HubRegistry(self.client, Upstream(self.client, 1_000_000, 5), 5, self.timer)
        self.hub = Hub(self.source, REPOSITORY.registry, check, registry)
