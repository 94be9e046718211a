"""Read docker's config.json: who logs in where, and which helper knows."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from metahub_addon.credentials import Credentials
from metahub_addon.printable import printable

DOCKER_HUB = "https://index.docker.io/v1/"
# What docker, podman and others call Docker Hub in this file, in the order they are tried.
_HUB_NAMES = (DOCKER_HUB, "index.docker.io", "docker.io", "registry-1.docker.io")
_SCHEME = re.compile(r"^https?://")


class InvalidDockerConfig(ValueError):
    """A file that is no docker configuration; the message names file and key, no value."""


@dataclass(frozen=True, slots=True)
class Helper:
    """`docker-credential-<name>` knows; `server` is what to ask it for."""

    name: str
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerConfig:
    """What the file says of credentials; keys are as they stand in the file."""

    auths: Mapping[str, Credentials | None] = field(repr=False)
    helpers: Mapping[str, str]
    store: str = ""

    def lookup(self, host: str) -> Credentials | Helper | None:
        """Who logs in at a registry (`host[:port]`), by docker's rules; None: nobody.

        A helper for the registry comes first, then the one for all, then the file itself.
        """
        names = _names(host)
        own = next((name for name in map(self.helpers.get, names) if name is not None), None)
        helper = self.store if own is None else own
        if helper:
            return Helper(helper, names[0])
        for name in names:
            if (found := self.auths.get(name)) is not None:
                return found
        return next(
            (found for key, found in self.auths.items() if found and _host_of(key) in names), None
        )


def parse_docker_config(text: str, source: str) -> DockerConfig:
    """Read the file's text; raises InvalidDockerConfig, which names `source`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        # The error's own text and the document in it may quote a password.
        raise InvalidDockerConfig(f"{source}: is not JSON") from None
    root = _mapping(document, source, "the whole")
    auths = _mapping(root.get("auths"), source, "auths")
    helpers = _mapping(root.get("credHelpers"), source, "credHelpers")
    return DockerConfig(
        auths=MappingProxyType(
            {
                host: _credentials(entry, source, f"auths.{printable(host)}")
                for host, entry in auths.items()
            }
        ),
        helpers=MappingProxyType(
            {
                host: _text(name, source, f"credHelpers.{printable(host)}")
                for host, name in helpers.items()
            }
        ),
        store=_text(root.get("credsStore"), source, "credsStore"),
    )


def _credentials(entry: Any, source: str, key: str) -> Credentials | None:
    """One of `auths`; None for an empty one, which a helper's logins leave behind."""
    fields = _mapping(entry, source, key)
    username, password, token, auth = (
        _text(fields.get(name), source, f"{key}.{name}")
        for name in ("username", "password", "identitytoken", "auth")
    )
    if auth:
        username, password = _decode(auth, source, f"{key}.auth")
    if not username and not token:
        return None
    return Credentials(username=username, password=password, identity_token=token)


def _decode(auth: str, source: str, key: str) -> tuple[str, str]:
    try:
        decoded = base64.b64decode(auth, validate=True).decode()
    except ValueError:
        decoded = ""
    username, colon, password = decoded.partition(":")
    if not colon:
        raise InvalidDockerConfig(f"{source}: {key}: is not base64 of user:password")
    return username, password.strip("\0")  # as docker does


def _mapping(value: Any, source: str, key: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidDockerConfig(f"{source}: {key}: is not an object")
    return value


def _text(value: Any, source: str, key: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidDockerConfig(f"{source}: {key}: is not a string")
    return value


def _names(host: str) -> tuple[str, ...]:
    """The keys that a registry may stand under, the one that helpers know it by first."""
    host = host.lower().removesuffix(":443")
    return _HUB_NAMES if host in _HUB_NAMES else (host, f"{host}:443")


def _host_of(key: str) -> str:
    """A key that is a URL or has a path, without both."""
    return _SCHEME.sub("", key.lower()).partition("/")[0]
