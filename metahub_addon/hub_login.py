"""Which of a hub's machine types this host is: types are held against it as images are."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metahub_addon.features import Feature, InvalidFeature
from metahub_addon.index import Child, Index
from metahub_addon.machine import MachineType
from metahub_addon.media_types import OCI_INDEX, OCI_MANIFEST
from metahub_addon.oci_platform import InvalidPlatform, Platform
from metahub_addon.selection import Verdict, choose

MAX_TYPES = 4096
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
# It becomes a user's name: RFC 7617 allows no colon in one.
_ACCOUNT = re.compile(r"[A-Za-z0-9_][^\s:\x00-\x1f\x7f]{0,127}")


class InvalidTypes(ValueError):
    """An answer that lists no machine types; the message starts with the wrong key's path."""


class UnknownType(ValueError):
    """A machine type that the account has not; the message names those that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubType:
    """A machine type of an account, and the name to log in with to be one."""

    machine: MachineType
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTypes:
    """What a hub says of an account: its name and its machine types."""

    account: str
    types: tuple[HubType, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """The type that this host is (None: none of them), why, and a verdict for each type."""

    chosen: HubType | None
    reason: str
    verdicts: tuple[tuple[HubType, Verdict], ...]

    def fits(self, wanted: HubType) -> bool:
        """True if a type fits this host."""
        return any(verdict.fits for one, verdict in self.verdicts if one is wanted)


def parse_types(body: bytes) -> HubTypes:
    """Read a hub's answer; raises InvalidTypes. Keys that are unknown here do not matter."""
    try:
        document = _object(json.loads(body), "answer")
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidTypes):
            raise
        raise InvalidTypes(f"answer: is not JSON ({type(error).__name__})") from error
    account = _text(document.get("account"), "account")
    if not _ACCOUNT.fullmatch(account):
        raise InvalidTypes(f"account: {account[:99]!r} is no account's name")
    listed = document.get("types")
    if not isinstance(listed, list) or len(listed) > MAX_TYPES:
        raise InvalidTypes(f"types: is no list of at most {MAX_TYPES}")
    types = tuple(_type(entry, account, f"types[{at}]") for at, entry in enumerate(listed))
    if len({one.machine.name for one in types}) < len(types):
        raise InvalidTypes("types: names a machine type twice")
    return HubTypes(account=account, types=types)


def _type(entry: object, account: str, path: str) -> HubType:
    given = _object(entry, path)
    name = _text(given.get("machine_type"), f"{path}.machine_type")
    if not _TYPE.fullmatch(name):
        raise InvalidTypes(f"{path}.machine_type: {name[:99]!r} is no machine type's name")
    # A hub may name the login, where the account's bare name already stands for the type.
    login = _text(given.get("login", f"{account}-{name}"), f"{path}.login")
    if login not in (account, f"{account}-{name}"):
        raise InvalidTypes(f"{path}.login: {login[:99]!r} is not of this account and type")
    features = given.get("features", [])
    if not isinstance(features, list):
        raise InvalidTypes(f"{path}.features: is not a list")
    try:
        machine = MachineType(
            name=name,
            platform=Platform.parse(_text(given.get("platform"), f"{path}.platform")),
            features=tuple(Feature.parse(_text(one, f"{path}.features")) for one in features),
        )
    except (InvalidPlatform, InvalidFeature) as error:
        raise InvalidTypes(f"{path}: {error}") from error
    return HubType(machine=machine, login=login)


def pick(types: Sequence[HubType], host: MachineType) -> Picked:
    """The type whose features this host has all of, and of several the closest to it.

    Images for a type run on hosts that have what the type has: so a type is held against
    a host as an image is that requires the type's features.
    """
    children = tuple(
        Child(
            media_type=OCI_MANIFEST,
            digest=one.machine.name,
            size=0,
            platform=one.machine.platform,
            requires=_requires(one.machine),
        )
        for one in types
    )
    decision = choose(Index(media_type=OCI_INDEX, children=children), host)
    named = {one.machine.name: one for one in types}
    verdicts = tuple((named[verdict.child.digest], verdict) for verdict in decision.verdicts)
    if decision.chosen is None:
        reason = f"none of the account's {len(types)} machine types fits {_told(host)}"
        return Picked(chosen=None, reason=reason, verdicts=verdicts)
    chosen = named[decision.chosen.digest]
    reason = decision.reason.replace("in the index", "in the hub's list")
    return Picked(chosen=chosen, reason=reason, verdicts=verdicts)


def named_type(types: HubTypes, name: str) -> HubType:
    """The type of a name; raises UnknownType."""
    for one in types.types:
        if one.machine.name == name:
            return one
    known = ", ".join(one.machine.name for one in types.types) or "none"
    raise UnknownType(f"{types.account} has no machine type {name!r}, it has: {known}")


def _requires(machine: MachineType) -> tuple[Feature, ...]:
    """A type's features, with the level in its platform (`linux/amd64/v3`)."""
    platform = machine.platform
    if platform.architecture != "amd64" or not platform.variant:
        return machine.features
    return (*machine.features, Feature.parse(f"cpu:{platform.variant}"))


def _told(host: MachineType) -> str:
    features = ", ".join(map(str, host.features)) or "no features"
    return f"this host ({host.platform}, {features})"


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidTypes(f"{path}: is not an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidTypes(f"{path}: is not a string")
    return value
