"""The registries that the node's own configuration names."""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

from installer.certs_d import Kind, find_folders
from installer.documents import read_json, read_toml
from installer.layout import DOCKER_CONFIG
from installer.node import Node
from installer.problem import Problem
from installer.wanted import registry_name
from metahub_addon.registries import RegistryPattern

_REGISTRIES = PurePosixPath("/etc/containers/registries.conf")


@dataclass(frozen=True, slots=True)
class Found:
    """Registries in the order of their discovery, and those that had better be left alone.

    A registry that runtimes use without verifying it (`insecure`) has a certificate that
    mitmproxy would refuse, or none: a pull through the proxy would fail. So would one of a
    registry for which the node has a certificate of its own to show (`personal`): the proxy
    has not got its key.
    """

    registries: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    # Podman's registries that have an entry of their own.
    configured: tuple[str, ...] = ()
    # Those that have authorities of their own, which the proxy trusts for all.
    vouching: tuple[str, ...] = ()


def find_registries(node: Node, ours: Collection[str]) -> Found:
    """Look through certs.d, daemon.json, hosts.toml and registries.conf.

    `ours` are the paths that an earlier installation made: they say nothing of the node.
    """
    folders = list(find_folders(node, ours))
    hosts = [*((folder.host, folder.kind) for folder in folders), *_in_docker(node)]
    configured: list[str] = []
    for table in _tables(node, ours):
        hosts += _in_table(table)
        configured += [str(entry.get("prefix") or entry.get("location")) for entry in _all(table)]
    personal, insecure, secure = (
        _names([host for host, kind in hosts if kind == wanted])
        for wanted in ("personal", "insecure", "secure")
    )
    insecure = tuple(name for name in insecure if name not in personal)
    secure = tuple(name for name in secure if name not in (*personal, *insecure))
    vouching = _names([folder.host for folder in folders if folder.vouches])
    return Found(secure, insecure, personal, tuple(dict.fromkeys(configured)), vouching)


def _names(hosts: list[str]) -> tuple[str, ...]:
    """Hosts that can be a registry's and are not on this node, each once."""
    names = []
    for host in hosts:
        with contextlib.suppress(Problem):
            name = registry_name(host)
            if not _is_loopback(name):
                names.append(name)
    return tuple(dict.fromkeys(names))


def _is_loopback(name: str) -> bool:
    host = RegistryPattern.parse(name).host
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _in_docker(node: Node) -> Iterator[tuple[str, Kind]]:
    document = read_json(node, DOCKER_CONFIG)
    for host in _strings(document.get("insecure-registries")):
        yield _host_of(host), "insecure"
    for url in _strings(document.get("registry-mirrors")):
        if url.startswith("https://"):
            yield _host_of(url), "secure"


def _host_of(url: str) -> str:
    rest = url.partition("://")[2] or url
    # A network (10.0.0.0/8) is left whole: then it is no registry's name.
    return rest.rstrip("/") if "://" not in url else rest.partition("/")[0]


def _tables(node: Node, ours: Collection[str]) -> Iterator[dict[str, Any]]:
    folder = PurePosixPath(f"{_REGISTRIES}.d")
    yield read_toml(node, _REGISTRIES)
    if node.path(folder).is_dir():
        for file in sorted(node.path(folder).glob("*.conf")):
            if f"{folder}/{file.name}" not in ours:
                yield read_toml(node, folder / file.name)


def _in_table(document: dict[str, Any]) -> Iterator[tuple[str, Kind]]:
    for host in _strings(document.get("unqualified-search-registries")):
        yield host, "secure"
    for entry in _all(document):
        mirrors = entry.get("mirror")
        for place in (entry, *(mirrors if isinstance(mirrors, list) else ())):
            name = place.get("location") or place.get("prefix") if isinstance(place, dict) else ""
            host = str(name or "").partition("/")[0].removeprefix("*.")
            if host and place.get("blocked") is not True:
                yield host, "insecure" if place.get("insecure") is True else "secure"


def _all(document: dict[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("registry")
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
