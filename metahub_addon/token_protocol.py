"""What a registry wants to see (distribution spec, 'Token Authentication'); nothing is sent.

A challenge comes from outside: whom it sends us to, and for what, is judged here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from metahub_addon.challenge import Challenge
from metahub_addon.local_hosts import is_local_host
from metahub_addon.printable import printable
from metahub_addon.upstream import FetchError, Registry

_MAX_SCOPE = 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a registry wants to be asked: `basic`, `bearer` with a token of a realm, or as it is."""

    scheme: str = ""
    realm: str = ""
    service: str = ""
    scope: str = ""


def scope_of(name: str, actions: str) -> str:
    """The scope of a repository; that of the registry itself (no name) is empty."""
    return f"repository:{name}:{actions}" if name else ""


def wanted_of(
    challenges: Sequence[Challenge], registry: Registry, name: str, actions: str
) -> Wanted | None:
    """What of the challenges we do: Bearer before Basic, as docker; None where we can't.

    Raises FetchError for a realm that must not be asked.
    """
    schemes = {challenge.scheme: challenge.parameters for challenge in reversed(challenges)}
    bearer = schemes.get("bearer", {})
    if "realm" in bearer:
        check_realm(registry, bearer["realm"])
        scope = bearer.get("scope", "")
        if not covers(scope, name, actions):
            scope = scope_of(name, actions)
        return Wanted("bearer", bearer["realm"], bearer.get("service", ""), scope)
    return Wanted("basic") if "basic" in schemes else None


def check_realm(registry: Registry, realm: str) -> None:
    """Raise FetchError unless a registry may send us to this token server.

    TLS is a must where the registry has it; a host that is local to us may only be named
    by a registry that is so itself.
    """
    parts = _split(realm)
    host = parts.hostname or ""
    shown = printable(host)[:255]
    if not host or "@" in parts.netloc or not (realm.isascii() and realm.isprintable()):
        raise FetchError("the registry wants a token of a realm that is no plain URL")
    if parts.scheme != "https" and (parts.scheme, registry.scheme) != ("http", "http"):
        raise FetchError(f"the registry wants a token of {shown} without TLS")
    if is_local_host(host) and not is_local_host(registry.host):
        raise FetchError(f"the registry wants a token of {shown}, which is local to the hub")


def covers(scope: str, name: str, actions: str) -> bool:
    """True if a scope holds all that was asked for, and no other repository.

    The token goes with requests of one repository, by whoever may use that one: with
    another in it, a mount of blobs could reach what its sender may not read.
    """
    if len(scope) > _MAX_SCOPE or not name:
        return False
    allowed: set[str] = set()
    for part in scope.split(" "):
        head, _, granted = part.rpartition(":")
        if head != f"repository:{name}":
            return False
        allowed.update(granted.split(","))
    return "*" in allowed or allowed.issuperset(actions.split(","))


def _split(url: str) -> SplitResult:
    """A URL's parts; those of an empty one where it is none."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises ValueError where it is none)
    except ValueError:
        return urlsplit("")
    return parts
