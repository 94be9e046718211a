"""The registries that the node's own configuration names."""

import contextlib
import json
import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

from installer.layout import CONTAINERD_CERTS, CONTAINERS_CERTS, DOCKER_CERTS, DOCKER_CONFIG
from installer.node import Node
from installer.problem import Problem
from installer.wanted import registry_name
from metahub_addon.registries import RegistryPattern

_REGISTRIES = PurePosixPath("/etc/containers/registries.conf")


@dataclass(frozen=True, slots=True)
class Found:
    """Registries in the order of their discovery, and those that had better be left alone.

    A registry that runtimes use without verifying it (`insecure`) has a certificate that
    mitmproxy would refuse, or none: a pull through the proxy would fail.
    """

    registries: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    # Podman's registries that have an entry of their own.
    configured: tuple[str, ...] = ()


def find_registries(node: Node, ours: Collection[str]) -> Found:
    """Look through certs.d, daemon.json, hosts.toml and registries.conf.

    `ours` are the paths that an earlier installation made: they say nothing of the node.
    """
    secure: list[str] = []
    insecure: list[str] = []
    configured: list[str] = []
    for host, is_insecure in (*_in_folders(node, ours), *_in_docker(node)):
        (insecure if is_insecure else secure).append(host)
    for table in _tables(node, ours):
        for host, is_insecure in _in_table(table):
            (insecure if is_insecure else secure).append(host)
        configured += [str(entry.get("prefix") or entry.get("location")) for entry in _all(table)]
    left = _names(insecure)
    named = tuple(name for name in _names(secure) if name not in left)
    return Found(named, left, tuple(dict.fromkeys(configured)))


def read_toml(node: Node, path: PurePosixPath | str) -> dict[str, Any]:
    """A TOML file of the node; empty if it is none, or not there."""
    try:
        return tomllib.loads(node.read(path))
    except tomllib.TOMLDecodeError:
        return {}


def read_json(node: Node, path: PurePosixPath) -> dict[str, Any]:
    """A JSON object of the node; empty if the file is not there. Raises Problem."""
    text = node.read(path)
    try:
        document = json.loads(text or "{}")
    except ValueError as error:
        raise Problem(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Problem(f"{path}: is not a JSON object")
    return document


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


def _in_folders(node: Node, ours: Collection[str]) -> Iterator[tuple[str, bool]]:
    for base in (DOCKER_CERTS, CONTAINERS_CERTS, CONTAINERD_CERTS):
        folder = node.path(base)
        if not folder.is_dir():
            continue
        for inner in sorted(folder.iterdir()):
            files = list(inner.iterdir()) if inner.is_dir() else []
            if any(f"{base}/{inner.name}/{file.name}" not in ours for file in files):
                yield _from_folder(inner.name), _skips_verify(node, base / inner.name)


def _from_folder(name: str) -> str:
    """containerd writes host_port_ where a file system takes no colon."""
    if name.endswith("_") and name.count("_") >= 2:
        return ":".join(name[:-1].rsplit("_", 1))
    return name


def _skips_verify(node: Node, folder: PurePosixPath) -> bool:
    document = read_toml(node, folder / "hosts.toml")
    hosts = document.get("host")
    tables = [document, *(hosts.values() if isinstance(hosts, dict) else ())]
    return any(isinstance(table, dict) and table.get("skip_verify") is True for table in tables)


def _in_docker(node: Node) -> Iterator[tuple[str, bool]]:
    document = read_json(node, DOCKER_CONFIG)
    for host in _strings(document.get("insecure-registries")):
        yield _host_of(host), True
    for url in _strings(document.get("registry-mirrors")):
        if url.startswith("https://"):
            yield _host_of(url), False


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


def _in_table(document: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    for host in _strings(document.get("unqualified-search-registries")):
        yield host, False
    for entry in _all(document):
        mirrors = entry.get("mirror")
        for place in (entry, *(mirrors if isinstance(mirrors, list) else ())):
            name = place.get("location") or place.get("prefix") if isinstance(place, dict) else ""
            host = str(name or "").partition("/")[0].removeprefix("*.")
            if host and place.get("blocked") is not True:
                yield host, place.get("insecure") is True


def _all(document: dict[str, Any]) -> list[dict[str, Any]]:
    entries = document.get("registry")
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
