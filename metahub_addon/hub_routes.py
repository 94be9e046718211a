"""A request to a hub → what it asks for, and of which registry behind the hub."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from metahub_addon.hub_config import UpstreamRule
from metahub_addon.registry import (
    DOCKER_HUB_HOST,
    NAME_PART,
    ManifestRequest,
    namespace_of,
    recognise,
)
from metahub_addon.upstream import Registry

TYPES_PATH = "/v2/_metahub/machine-types"
# No percent signs but for colons: a registry, or a proxy before it, would decode `%2e%2e%2f`
# and be in another repository. Where uploads are is the registry's to choose.
_PART = r"(?:[A-Za-z0-9._~=+@:-]|%3[Aa])+"
_UPLOADS = rf"blobs/uploads?/(?:{_PART}(?:/{_PART}){{0,3}})?"
_REST = rf"(?:manifests|blobs|referrers)/{_PART}|tags/list|{_UPLOADS}"
_BELOW = re.compile(rf"/v2/(?P<name>{NAME_PART}(?:/{NAME_PART})*)/(?P<rest>{_REST})")
_SHORTEST = re.compile(rf"/v2/(?P<name>{NAME_PART}(?:/{NAME_PART})*?)/(?P<rest>{_REST})")
_UPLOAD = re.compile(r"blobs/uploads?/")
_MAX_PATH = 2048
_READING = frozenset({"GET", "HEAD"})
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
# A mount reads another repository, which nobody has judged: without it, it is an upload.
_NOT_SENT_ON = frozenset({"ns", "mount", "from", "metahub-again"})


class Action(StrEnum):
    """What a request does to a repository."""

    PULL = "pull"
    PUSH = "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A request of the distribution API below a repository.

    `asked` is the repository as this client names it, `name` as allow lists do, and
    `upstream_name` as the registry behind the hub does; `rest` is the path below it, with
    what remains of the query. `is_again` marks one that was led to `again`.
    """

    rule: UpstreamRule
    asked: str
    name: str
    upstream_name: str
    rest: str
    action: Action
    manifest: ManifestRequest | None = None
    is_again: bool = False

    @property
    def path(self) -> str:
        """The path to ask the registry for."""
        return f"/v2/{self.upstream_name}/{self.rest}"

    @property
    def again(self) -> str:
        """Where a client asks the hub for the same once more."""
        return f"/v2/{self.asked}/{self.rest}{'&' if '?' in self.rest else '?'}metahub-again=1"


@dataclass(frozen=True, slots=True)
class NoRoute:
    """A request that a hub does not take: the status and the OCI error's code and message."""

    status: int
    code: str
    message: str


def find_route(
    method: str, target: str, host: str, upstreams: Sequence[UpstreamRule]
) -> Route | NoRoute:
    """Read a request's method, target (path and query) and Host (without its port).

    `upstreams` must have one without prefix and hosts, where all else goes.
    """
    path, _, query = target.partition("?")
    found = _below(path)
    if found is None:
        return NoRoute(404, "UNSUPPORTED", "this hub serves the OCI distribution API only")
    if method not in _READING | _WRITING:
        return NoRoute(405, "UNSUPPORTED", f"{method} is no method of the distribution API")
    name, rest = found["name"], re.sub("%3[Aa]", ":", found["rest"])
    if method == "DELETE" and not _UPLOAD.match(rest):
        # Who may push may give up an upload; a registry deletes for who asks it itself.
        return NoRoute(405, "UNSUPPORTED", "this hub deletes nothing")
    rule, upstream_name = _upstream(name, host, namespace_of(query), upstreams)
    if rule is None:
        return NoRoute(404, "NAME_UNKNOWN", f"{name}: no registry behind this hub has it")
    here, name_at_hub = (rule, upstream_name), _name_at_hub(rule, upstream_name)
    if _upstream(name_at_hub, "", "", upstreams) != here:
        # What allow lists say of that name, they say of another registry's repository.
        return NoRoute(404, "NAME_UNKNOWN", f"{name}: is hidden by another registry's prefix")
    manifest = recognise(method, f"/v2/{upstream_name}/{rest}")
    if manifest is None and method in _READING and rest.startswith("manifests/"):
        # Else it would go on, past the choice of a child.
        return NoRoute(404, "MANIFEST_UNKNOWN", f"{rest[:200]}: is no tag and no digest")
    kept = [pair for pair in parse_qsl(query, True) if pair[0] not in _NOT_SENT_ON]
    # The status of an upload is nothing that who may only pull needs to see.
    is_pull = method in _READING and not _UPLOAD.match(rest)
    return Route(
        rule=rule,
        # `?ns=` is not in what a registry leads a client to.
        asked=name if _upstream(name, host, "", upstreams) == here else name_at_hub,
        name=name_at_hub,
        upstream_name=upstream_name,
        rest=rest + (f"?{urlencode(kept, errors='replace')}" if kept else ""),
        action=Action.PULL if is_pull else Action.PUSH,
        manifest=manifest,
        is_again=("metahub-again", "1") in parse_qsl(query),
    )


def _below(path: str) -> re.Match[str] | None:
    """The repository and what is below it; None where that could be read in two ways."""
    found = _BELOW.fullmatch(path) if len(path) <= _MAX_PATH else None
    if found is None or {"..", "."} & set(path.split("/")):
        return None
    shortest = _SHORTEST.fullmatch(path)
    return found if shortest and shortest["name"] == found["name"] else None


def _upstream(
    name: str, host: str, namespace: str, upstreams: Sequence[UpstreamRule]
) -> tuple[UpstreamRule | None, str]:
    """The registry, and the repository's name there: by `?ns=`, prefix, host, or the default."""
    if namespace and namespace.rpartition(":")[0] != host and namespace != host:
        # A mirror's client names the registry that it means: no other one's image will do.
        found = next((rule for rule in upstreams if namespace in _names(rule)), None)
        if found is not None:
            # A mirror's URL may end in the prefix, as many are set up.
            name = _official(found.registry, name.removeprefix(f"{found.start or '.'}/"))
        return found, name
    for rule in sorted(upstreams, key=lambda rule: len(rule.start), reverse=True):
        if rule.start and name.startswith(f"{rule.start}/"):
            return rule, _official(rule.registry, name.removeprefix(f"{rule.start}/"))
    by_host = (rule for rule in upstreams if host.lower() in rule.hosts)
    default = (rule for rule in upstreams if not rule.prefix and not rule.hosts)
    found = next(chain(by_host, default), None)
    return found, _official(found.registry, name) if found else name


def _names(rule: UpstreamRule) -> set[str]:
    """What a mirror's client may call a registry."""
    own = {rule.name, rule.prefix, rule.registry.authority} - {""}
    return own | {"docker.io"} if rule.registry.host == DOCKER_HUB_HOST else own


def _official(registry: Registry, name: str) -> str:
    """Docker Hub's official images are in `library/`, which clients leave out."""
    return name if "/" in name or registry.host != DOCKER_HUB_HOST else f"library/{name}"


def _name_at_hub(rule: UpstreamRule, upstream_name: str) -> str:
    """The one name that allow lists are held against, however the client came to it."""
    return f"{rule.start}/{upstream_name}" if rule.start else upstream_name


def led_back(location: str, route: Route) -> str:
    """A Location or Link target of the registry, as the hub's clients must see it.

    Below the repository it becomes the hub's own path; elsewhere at the registry it is
    made whole; another host's stays, as does what is no URL.
    """
    registry = route.rule.registry
    base = f"{registry.scheme}://{registry.authority}{route.path}"
    try:
        whole = urljoin(base, location)
        parts = urlsplit(whole)
    except ValueError:
        return location
    own, authority = f"/v2/{route.upstream_name}/", registry.authority.lower()
    is_here = parts.netloc.lower() in (authority, f"{authority}:{registry.port}")
    if is_here and parts.path.startswith(own):
        query = f"?{parts.query}" if parts.query else ""
        return f"/v2/{route.asked}/{parts.path.removeprefix(own)}{query}"
    return whole
