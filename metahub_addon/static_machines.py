"""MetaHub's STATIC_MACHINES: four machine types, each with a login that bears its name."""

from collections.abc import Callable, Mapping
from typing import Any

from metahub_addon.features import Feature
from metahub_addon.hub_config import Account, HubConfig, ReadOnly
from metahub_addon.machine import MachineType
from metahub_addon.oci_platform import Platform
from metahub_addon.passwords import hash_password

_FEATURES = {
    "type1": ("cpu:broadwell",),
    "type2": ("cpu:skylake",),
    "type3": ("cpu:coffeelake",),
    "type4": ("cpu:broadwell", "nvcap:5.2"),
}


class StaticMachines:
    """The accounts `qnib-type1` to `qnib-type4`, whose passwords are their names.

    What MetaHub itself has with STATIC_MACHINES=true. Hashing takes about a second.
    """

    def __init__(self, hash_password: Callable[[str], str] = hash_password) -> None:
        self.config = static_machines(hash_password)

    def is_stale(self) -> bool:
        """Never."""
        return False

    def current(self) -> HubConfig:
        """What it always was."""
        return self.config

    def put_type(self, text: Mapping[str, Any]) -> None:
        """Raises ReadOnly."""
        raise ReadOnly("STATIC_MACHINES has no file in which machine types could be changed")

    def remove_type(self, name: str) -> None:
        """Raises ReadOnly."""
        raise ReadOnly("STATIC_MACHINES has no file in which machine types could be changed")


def static_machines(hash_password: Callable[[str], str]) -> HubConfig:
    """The configuration with the four accounts and their machine types."""
    platform = Platform("linux", "amd64")
    types = {
        name: MachineType(
            name=name, platform=platform, features=tuple(map(Feature.parse, features))
        )
        for name, features in _FEATURES.items()
    }
    logins = {name: f"qnib-{name}" for name in types}
    accounts = {
        login: Account(user=login, password=hash_password(login), types=(name,), own_type=name)
        for name, login in logins.items()
    }
    return HubConfig(types=types, accounts=accounts, platform=platform)
