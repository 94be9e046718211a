"""Files that belong to a user and can't be extended beside: what is put into them, and out."""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from installer.layout import CONTAINERD_CERTS, CONTAINERD_CONFIG, DOCKER_CONFIG
from installer.problem import Problem

_MIRRORS = "registry-mirrors"
_PLUGINS = {1: "io.containerd.grpc.v1.cri", 2: "io.containerd.grpc.v1.cri"}
_NEWEST_PLUGIN = "io.containerd.cri.v1.images"
# As `containerd config default` prints it.
_EMPTY = re.compile(r"""^([ \t]*)config_path[ \t]*=[ \t]*(""|'')[ \t]*$""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Edit:
    """A file's new text, and the part of it that is ours."""

    text: str
    added: str


def with_docker_mirror(text: str, mirror: str) -> Edit:
    """daemon.json with a mirror in front of the others."""
    document: dict[str, Any] = json.loads(text or "{}")
    mirrors = document.get(_MIRRORS, [])
    if not isinstance(mirrors, list):
        raise Problem(f"{DOCKER_CONFIG}: {_MIRRORS}: is not a list")
    if mirror not in mirrors:
        document[_MIRRORS] = [mirror, *mirrors]
        text = json.dumps(document, indent=4) + "\n"
    return Edit(text, mirror)


def without(path: str, text: str, added: str) -> str | None:
    """A file that its user has edited since, without our part; None if it can't be told."""
    if path == str(DOCKER_CONFIG):
        return without_mirror(text, added)
    return text.replace(added, "") if added and text.count(added) == 1 else None


def without_mirror(text: str, mirror: str, keep: bool = False) -> str | None:
    """daemon.json without a mirror; with `keep` the list stays, if empty. None: is broken."""
    try:
        document = json.loads(text)
        mirrors = [url for url in document.pop(_MIRRORS, []) if url != mirror]
    except (ValueError, AttributeError, TypeError):
        return None
    if mirrors or keep:
        document[_MIRRORS] = mirrors
    return json.dumps(document, indent=4) + "\n"


def hosts_folder(text: str) -> PurePosixPath | None:
    """Where a configuration of containerd has its hosts.toml files; None if it has none."""
    registry = _registry(_parse(text))
    path = registry.get("config_path") if registry else None
    return PurePosixPath(path.partition(":")[0]) if isinstance(path, str) and path else None


def with_hosts_folder(text: str, major: int) -> Edit:
    """containerd's configuration with a config_path; raises Problem where that needs a human.

    Only a table at the end is added: a file named in `imports` would replace all that
    the main one says of the plugin.
    """
    document = _parse(text)
    version = document.get("version", 1) if text.strip() else 0
    if version == 1:
        raise Problem(f"{CONTAINERD_CONFIG}: is of version 1: {_advice()}")
    head = "" if version else f"version = {3 if major > 1 else 2}\n"
    plugin = _PLUGINS.get(version or (2 if major == 1 else 3), _NEWEST_PLUGIN)
    line = f'config_path = "{CONTAINERD_CERTS}"'
    added = f'\n# By metahub\'s installer.\n[plugins."{plugin}".registry]\n  {line}\n'
    edit = Edit(f"{head}{text}{added}", added)
    if _EMPTY.search(text):
        edit = Edit(_EMPTY.sub(rf"\1{line}", text, count=1), line)
    registry = _registry(document) or {}
    if registry.get("mirrors") or registry.get("configs") or not _is_right(document, edit.text):
        raise Problem(f"{CONTAINERD_CONFIG}: {_advice()}")
    return edit


def _advice() -> str:
    return (
        f'set config_path = "{CONTAINERD_CERTS}" for its registries (docs/hosts.md of containerd)'
    )


def _is_right(before: dict[str, Any], text: str) -> bool:
    """True if a config_path is there now, and nothing else is different."""
    try:
        after = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    registry = _registry(after)
    if not registry or registry.pop("config_path", "") != str(CONTAINERD_CERTS):
        return False
    old = _registry(before)
    if old:
        old.pop("config_path", None)
    rest = {**after, "version": before.get("version")}
    same: bool = _without_empty(rest) == _without_empty(before)
    return same


def _without_empty(value: Any) -> Any:
    """A document without empty tables and missing values, which say nothing."""
    if not isinstance(value, dict):
        return value
    cleaned = {key: _without_empty(inner) for key, inner in value.items()}
    return {key: inner for key, inner in cleaned.items() if inner not in ({}, None)}


def _parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{CONTAINERD_CONFIG}: is not TOML: {error}") from error


def _registry(document: dict[str, Any]) -> dict[str, Any] | None:
    plugins = document.get("plugins")
    for name in (_NEWEST_PLUGIN, *_PLUGINS.values(), "cri"):
        plugin = plugins.get(name) if isinstance(plugins, dict) else None
        if isinstance(plugin, dict) and isinstance(plugin.get("registry"), dict):
            registry: dict[str, Any] = plugin["registry"]
            return registry
    return None


def has_no_cri(text: str) -> bool:
    """True if containerd's CRI plugin, the only one that pulls, is switched off."""
    disabled = _parse(text).get("disabled_plugins")
    names = {"cri", *_PLUGINS.values()}
    return isinstance(disabled, list) and any(name in names for name in disabled)
