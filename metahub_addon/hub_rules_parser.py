"""The rules in a hub's file that tell a client's machine type without its login."""

import re
from collections.abc import Collection, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network

from metahub_addon.hub_config import Account, CertificateRule, NetworkRule, Selector
from metahub_addon.strict_keys import absolute_path, name_in, required, strict_keys, unique_texts
from metahub_addon.strict_yaml import Value

_NETWORK_KEYS = ("network", "type", "account")
_CERTIFICATE_KEYS = ("fingerprint", "authority", "name", "type", "account")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_SELECTORS = tuple(selector.value for selector in Selector)


def parse_networks(
    value: Value, types: Collection[str], accounts: Mapping[str, Account]
) -> tuple[NetworkRule, ...]:
    """Read `networks`; raises InvalidYaml, also for a network that is given twice."""
    rules: list[NetworkRule] = []
    for item in value.items():
        keys = strict_keys(item, _NETWORK_KEYS)
        where = required(item, keys, "network")
        network = parse_network(where)
        if any(rule.network == network for rule in rules):
            raise where.error(f"{network} is given twice")
        named, account = _target(item, keys, types, accounts)
        rules.append(NetworkRule(network=network, type=named, account=account))
    return tuple(rules)


def parse_certificates(
    value: Value, types: Collection[str], accounts: Mapping[str, Account]
) -> tuple[CertificateRule, ...]:
    """Read `certificates`; raises InvalidYaml, also for two rules of the same certificates."""
    rules: list[CertificateRule] = []
    for item in value.items():
        keys = strict_keys(item, _CERTIFICATE_KEYS)
        if ("fingerprint" in keys) == ("authority" in keys):
            raise item.error("needs one of fingerprint and authority")
        if "name" in keys and "authority" not in keys:
            raise keys["name"].error("goes with authority only")
        named, account = _target(item, keys, types, accounts)
        rule = CertificateRule(
            type=named,
            account=account,
            fingerprint=_fingerprint(keys["fingerprint"]) if "fingerprint" in keys else "",
            authority=absolute_path(keys["authority"]) if "authority" in keys else "",
            name=keys["name"].text() if "name" in keys else "*",
        )
        if _judged(rule) in map(_judged, rules):
            raise item.error("is for the same certificates as an earlier one")
        rules.append(rule)
    return tuple(rules)


def parse_order(value: Value) -> tuple[Selector, ...]:
    """Read `select`; raises InvalidYaml, also for a selector that is given twice or for none."""
    names = unique_texts(value)
    for item in value.items():
        if item.text() not in _SELECTORS:
            raise item.error(f"{item.text()!r} is unknown, known are {', '.join(_SELECTORS)}")
    if not names:
        raise value.error("names no selector")
    return tuple(map(Selector, names))


def parse_proxies(value: Value) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read `trusted_proxies`; raises InvalidYaml."""
    return tuple(parse_network(item) for item in value.items())


def parse_network(value: Value) -> IPv4Network | IPv6Network:
    """The text of a value as a network; a bare address is a network of one."""
    text = value.text()
    try:
        return ip_network(text)
    except ValueError:
        raise value.error(f"{text!r} is no network (address/bits, no bits behind)") from None


def _target(
    item: Value, keys: Mapping[str, Value], types: Collection[str], accounts: Mapping[str, Account]
) -> tuple[str, str]:
    """The machine type and the account of a rule; the account must have the type."""
    named = name_in(required(item, keys, "type"), types, "machine type")
    if "account" not in keys:
        return named, ""
    user = name_in(keys["account"], accounts, "account")
    account = accounts[user]
    if named not in (*account.types, account.own_type):
        raise keys["account"].error(f"{user} has not the machine type {named}")
    return named, user


def _fingerprint(value: Value) -> str:
    text = value.text().lower().removeprefix("sha256:").replace(":", "")
    if not _FINGERPRINT.fullmatch(text):
        raise value.error("is no SHA-256 (64 hex digits, colons between them or none)")
    return text


def _judged(rule: CertificateRule) -> tuple[str, str, str]:
    return rule.fingerprint, rule.authority, rule.name
