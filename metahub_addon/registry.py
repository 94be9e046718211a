"""Recognise requests for manifests and layers (OCI distribution spec, 'Pull')."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from metahub_addon.digest import is_digest

# A part of a repository's name.
NAME_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = rf"(?P<name>{NAME_PART}(?:/{NAME_PART})*)"
_MANIFEST = re.compile(rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)")
_BLOB = re.compile(rf"/v2/{_NAME}/blobs/(?P<digest>[^/]+)")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# Tags that name what belongs to another manifest: cosign's signatures, attestations
# and SBOMs, and the fall-back tags of the referrers API (distribution spec, 1.1).
_ATTACHED = re.compile(r"sha(?:256|512)-[a-f0-9]{32,128}(?:\.[a-zA-Z0-9._-]+)?")
_MAX_PATH = 1024
# Docker Hub's images bear a name that is not its registry's.
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io"})
DOCKER_HUB_HOST = "registry-1.docker.io"
_AUTHORITY = re.compile(
    r"(?P<host>[a-zA-Z0-9][a-zA-Z0-9.-]*|\[[0-9a-fA-F:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class ManifestRequest:
    """A GET or HEAD of a manifest, by tag or by digest.

    `namespace` is the registry that containerd names in `?ns=` when it asks a mirror.
    """

    method: str
    name: str
    reference: str
    namespace: str = ""

    @property
    def by_digest(self) -> bool:
        """True if the content is named by its hash, so that only one answer is right."""
        return is_digest(self.reference)

    @property
    def attached(self) -> bool:
        """True for a tag that carries signatures or other things attached to a manifest."""
        return _ATTACHED.fullmatch(self.reference) is not None

    def __str__(self) -> str:
        return f"{self.name}{'@' if self.by_digest else ':'}{self.reference}"


@dataclass(frozen=True, slots=True)
class BlobRequest:
    """A GET of a blob: a layer or a configuration. `namespace` is as in ManifestRequest."""

    name: str
    digest: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.digest}"


def recognise(method: str, target: str) -> ManifestRequest | None:
    """Read a request's method and target (path and query); None for all but manifests."""
    path, _, query = target.partition("?")
    if method not in ("GET", "HEAD") or len(path) > _MAX_PATH:
        return None
    found = _MANIFEST.fullmatch(path)
    if found is None:
        return None
    reference = found["reference"]
    if not is_digest(reference) and not _TAG.fullmatch(reference):
        return None
    return ManifestRequest(method, found["name"], reference, namespace_of(query))


def recognise_blob(method: str, target: str) -> BlobRequest | None:
    """Read a request's method and target; None for all but a GET of a blob."""
    path, _, query = target.partition("?")
    if method != "GET" or len(path) > _MAX_PATH:
        return None
    found = _BLOB.fullmatch(path)
    if found is None or not is_digest(found["digest"]):
        return None
    return BlobRequest(found["name"], found["digest"], namespace_of(query))


def namespace_of(query: str) -> str:
    """The registry that containerd names in `?ns=`; empty: none."""
    if len(query) >= 1024 or query.count("&") >= 16:
        return ""
    return parse_qs(query).get("ns", [""])[0]


def registry_of(namespace: str) -> tuple[str, int] | None:
    """The host (IPv6 without brackets) and port of the registry that `?ns=` names.

    None where it names none.
    """
    if namespace in _DOCKER_HUB:
        return DOCKER_HUB_HOST, 443
    found = _AUTHORITY.fullmatch(namespace)
    if found is None:
        return None
    port = int(found["port"] or 443)
    return (found["host"].strip("[]"), port) if 0 < port < 65536 else None
