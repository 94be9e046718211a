"""The registries in a hub's file, and where their credentials are."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from metahub_addon.hub_config import UpstreamRule
from metahub_addon.strict_keys import absolute_path, required, strict_keys, unique_texts
from metahub_addon.strict_yaml import Value
from metahub_addon.upstream import DEFAULT_PORTS, registry_at

_KEYS = ("name", "url", "prefix", "hosts", "username", "password_file", "docker_config")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_ADDRESS = re.compile(r"[0-9a-f:.]+")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PREFIX = re.compile(rf"{_PART}(?:/{_PART})*")


def parse_upstreams(value: Value) -> tuple[UpstreamRule, ...]:
    """Read `upstreams`; raises InvalidYaml.

    Also for what would leave a request's registry or a registry's credentials in doubt: a
    name or host that two have, names at the hub that begin alike, a second rule for all
    else, and one registry with two kinds of credentials.
    """
    rules: list[UpstreamRule] = []
    for item in value.items():
        rule = _upstream(item)
        for earlier in rules:
            _check_apart(item, rule, earlier)
        rules.append(rule)
    return tuple(rules)


def _check_apart(item: Value, rule: UpstreamRule, earlier: UpstreamRule) -> None:
    start, other = rule.start, earlier.start
    if rule.name == earlier.name:
        raise item.error(f"the name {rule.name} is given twice")
    for host in rule.hosts:
        if host in earlier.hosts:
            raise item.error(f"the host {host} is given twice")
    if not start and not other:
        raise item.error(f"is for all else, as {earlier.name} is: give it a prefix or hosts")
    if start and other and (f"{start}/".startswith(f"{other}/") or other.startswith(f"{start}/")):
        raise item.error(f"{start} and {other} both begin the same names at the hub")
    same = _place(rule) == _place(earlier)
    if same and _credentials(rule) != _credentials(earlier):
        raise item.error(f"is the registry of {earlier.name} with other credentials")


def _place(rule: UpstreamRule) -> tuple[str, str, int]:
    return rule.registry.scheme, rule.registry.host, rule.registry.port


def _credentials(rule: UpstreamRule) -> tuple[str, str, str]:
    return rule.username, rule.password_file, rule.docker_config


def _upstream(item: Value) -> UpstreamRule:
    keys = strict_keys(item, _KEYS)
    _check_credentials(item, keys)
    registry = registry_at(*_split(required(item, keys, "url")))
    return UpstreamRule(
        name=_matching(keys["name"], _NAME, "name") if "name" in keys else registry.host,
        registry=registry,
        prefix=_matching(keys["prefix"], _PREFIX, "repository's name") if "prefix" in keys else "",
        hosts=_hosts(keys["hosts"]) if "hosts" in keys else (),
        username=keys["username"].text() if "username" in keys else "",
        password_file=absolute_path(keys["password_file"]) if "password_file" in keys else "",
        docker_config=absolute_path(keys["docker_config"]) if "docker_config" in keys else "",
    )


def _check_credentials(item: Value, keys: Mapping[str, Value]) -> None:
    if ("username" in keys) != ("password_file" in keys):
        raise item.error("username and password_file go together")
    if "username" in keys and "docker_config" in keys:
        raise item.error("has both a username and a docker_config")


def _split(value: Value) -> tuple[str, str, int]:
    """Scheme, host and port of a registry's URL; raises InvalidYaml that quotes none of it."""
    text, wrong = value.text(), value.error("is not http[s]://host[:port] (no user, no path)")
    try:
        url = urlsplit(text)
        port = url.port if url.port is not None else DEFAULT_PORTS.get(url.scheme, 0)
    except ValueError:
        raise wrong from None
    host = (url.hostname or "").rstrip(".")
    rest = url.path.rstrip("/") or url.query or url.fragment or "@" in url.netloc
    known = _ADDRESS if ":" in host else _HOST
    if rest or not port or url.scheme not in DEFAULT_PORTS or not known.fullmatch(host):
        raise wrong
    return url.scheme, host, port


def _matching(value: Value, pattern: re.Pattern[str], kind: str) -> str:
    if not pattern.fullmatch(value.text()):
        raise value.error(f"{value.text()!r} is no {kind}")
    return value.text()


def _hosts(value: Value) -> tuple[str, ...]:
    hosts = unique_texts(value)
    for item in value.items():
        _matching(item, _HOST, "host's name (lower case, without a port)")
    if not hosts:
        raise value.error("names no host")
    return hosts
