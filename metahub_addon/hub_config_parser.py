"""A hub's file → HubConfig, and which of its passwords are in the clear."""

from dataclasses import dataclass
from types import MappingProxyType

from metahub_addon.hub_accounts_parser import MakeHash, PlainPassword, parse_accounts
from metahub_addon.hub_config import DEFAULT_ORDER, HubConfig
from metahub_addon.hub_rules_parser import (
    parse_certificates,
    parse_networks,
    parse_order,
    parse_proxies,
)
from metahub_addon.hub_upstreams_parser import parse_upstreams
from metahub_addon.machine import MachineType
from metahub_addon.oci_platform import Platform
from metahub_addon.profile_parser import parse_machine
from metahub_addon.strict_keys import absolute_path, strict_keys
from metahub_addon.strict_yaml import Value, read_yaml

KIND = "file"
_KEYS = (
    *("user", "password", "types", "accounts", "networks", "certificates", "select"),
    *("upstreams", "trusted_proxies", "secret_file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedHub:
    """What a hub's file says, and the passwords that are to be replaced in its text."""

    config: HubConfig
    plain: tuple[PlainPassword, ...]


def parse_hub_config(
    text: str, source: str, default_platform: Platform, make_hash: MakeHash
) -> ParsedHub:
    """Read a hub's file; MetaHub's own has `user`, `password` and `types` only.

    `default_platform` is that of types which tell none; `make_hash(user, password)` gives
    the hash of a password in the clear, or raises ValueError. Raises InvalidYaml, which
    names `source`, the line and the key and quotes no password, for anything unknown,
    wrong, given twice or ambiguous.
    """
    root = read_yaml(text, source, KIND)
    given = strict_keys(root, _KEYS)
    types = _types(given["types"], default_platform) if "types" in given else {}
    accounts = parse_accounts(root, text, tuple(types), make_hash)
    users = accounts.by_user
    networks, certificates = given.get("networks"), given.get("certificates")
    proxies = given.get("trusted_proxies")
    config = HubConfig(
        types=MappingProxyType(types),
        accounts=MappingProxyType(users),
        networks=parse_networks(networks, types, users) if networks else (),
        certificates=parse_certificates(certificates, types, users) if certificates else (),
        order=parse_order(given["select"]) if "select" in given else DEFAULT_ORDER,
        upstreams=parse_upstreams(given["upstreams"]) if "upstreams" in given else (),
        trusted_proxies=parse_proxies(proxies) if proxies else (),
        secret_file=absolute_path(given["secret_file"]) if "secret_file" in given else "",
        platform=default_platform,
    )
    return ParsedHub(config=config, plain=accounts.plain)


def _types(value: Value, default_platform: Platform) -> dict[str, MachineType]:
    types: dict[str, MachineType] = {}
    for item in value.items():
        machine = parse_machine(item, lambda: default_platform)
        if machine.name in types:
            raise item.error(f"the machine type {machine.name} is given twice")
        types[machine.name] = machine
    return types
