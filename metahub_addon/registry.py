"""Recognise requests for manifests (OCI distribution spec, 'Pulling manifests')."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from metahub_addon.digest import is_digest

_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_MANIFEST = re.compile(rf"/v2/(?P<name>{_NAME}(?:/{_NAME})*)/manifests/(?P<reference>[^/]+)")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# Tags that name what belongs to another manifest: cosign's signatures, attestations
# and SBOMs, and the fall-back tags of the referrers API (distribution spec, 1.1).
_ATTACHED = re.compile(r"sha(?:256|512)-[a-f0-9]{32,128}(?:\.[a-zA-Z0-9._-]+)?")
_MAX_PATH = 1024


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
    namespace = parse_qs(query, max_num_fields=16).get("ns", [""])[0] if len(query) < 1024 else ""
    return ManifestRequest(method, found["name"], reference, namespace)
