"""Bytes of a manifest list or OCI image index → an Index of children and their needs.

Sources: Docker Registry manifest v2 schema 2, 'Manifest List'; OCI image spec, 'Image
Index' and 'Descriptor'.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metahub_addon.digest import is_digest
from metahub_addon.features import Feature, InvalidFeature
from metahub_addon.media_types import IMAGE_CONFIGS, INDEXES, MANIFESTS
from metahub_addon.oci_platform import InvalidPlatform, Platform

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_CHILDREN = 4096
MAX_FEATURES = 256

# Annotations of a descriptor that say what a child needs, and the key they speak of;
# an empty key: a comma-separated list of whole features.
_FEATURE_ANNOTATIONS = {
    "org.metahub.features": "",
    "org.supercontainers.hardware.cpu.target.microarch": "cpu",
    "io.archspec.cpu.target": "cpu",
}
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")


class InvalidIndex(ValueError):
    """A body that is no index; the message starts with the path of the wrong key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A descriptor in an index, with the features that it requires.

    `size` is in bytes. `artifact` marks what is attached to images (attestations,
    signatures) rather than an image. `nested` is the opened index of a child that is
    an index itself, else None.
    """

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    requires: tuple[Feature, ...] = ()
    artifact: bool = False
    nested: "Index | None" = None

    @property
    def is_index(self) -> bool:
        """True if the child is itself an index."""
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        """True if the child is a manifest that a runtime can run."""
        return self.media_type in MANIFESTS and not self.artifact


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The children of a manifest list or OCI image index, in their order."""

    media_type: str
    children: tuple[Child, ...]


def parse_index(body: bytes, content_type: str) -> Index:
    """Read an index that was served with a Content-Type (without parameters).

    Raises InvalidIndex if it is too large, no JSON, of another media type than it was
    served as, a mixture of index and manifest, or if a child is malformed.
    """
    document = _object(_load(body), "index")
    if document.get("schemaVersion") != 2:
        raise InvalidIndex("schemaVersion: is not 2")
    declared = document.get("mediaType", content_type)
    if declared != content_type:
        raise InvalidIndex(f"mediaType: is {str(declared)[:99]!r}, served as {content_type!r}")
    # A body that reads as index and as manifest means different things to different
    # readers (OCI advisory GHSA-77vh-xpmg-72qh): leave it to the client.
    for key in ("layers", "config", "fsLayers"):
        if key in document:
            raise InvalidIndex(f"{key}: has no place in an index")
    manifests = document.get("manifests")
    if not isinstance(manifests, list):
        raise InvalidIndex("manifests: is not a list")
    if len(manifests) > MAX_CHILDREN:
        raise InvalidIndex(f"manifests: has {len(manifests)} children, more than {MAX_CHILDREN}")
    children = (_child(entry, f"manifests[{at}]") for at, entry in enumerate(manifests))
    return Index(media_type=content_type, children=tuple(children))


def _load(body: bytes) -> object:
    if len(body) > MAX_MANIFEST_BYTES:
        raise InvalidIndex(f"index: has {len(body)} bytes, more than {MAX_MANIFEST_BYTES}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidIndex(f"index: is not JSON ({type(error).__name__})") from error


def _child(entry: object, path: str) -> Child:
    descriptor = _object(entry, path)
    media_type = _text(descriptor.get("mediaType"), f"{path}.mediaType").lower()
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise InvalidIndex(f"{path}.mediaType: is no media type")
    digest = _text(descriptor.get("digest"), f"{path}.digest")
    if not is_digest(digest):
        raise InvalidIndex(f"{path}.digest: is no sha256 or sha512 digest")
    size = descriptor.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidIndex(f"{path}.size: is no number of bytes")
    raw_platform = _object(descriptor.get("platform") or {}, f"{path}.platform")
    annotations = _object(descriptor.get("annotations") or {}, f"{path}.annotations")
    artifact_type = _text(descriptor.get("artifactType") or "", f"{path}.artifactType")
    platform = _platform(raw_platform, f"{path}.platform")
    return Child(
        media_type=media_type,
        digest=digest,
        size=size,
        platform=platform,
        requires=_requires(raw_platform, platform, annotations, path),
        artifact=bool(
            (artifact_type and artifact_type not in IMAGE_CONFIGS)
            or "vnd.docker.reference.type" in annotations
            or (platform is not None and "unknown" in (platform.os, platform.architecture))
        ),
    )


def _platform(raw: Mapping[str, Any], path: str) -> Platform | None:
    if not raw:
        return None
    words = [_text(raw.get(key, ""), f"{path}.{key}") for key in ("os", "architecture", "variant")]
    try:
        return Platform.normalised(*words)
    except InvalidPlatform as error:
        raise InvalidIndex(f"{path}: {error}") from error


def _requires(
    raw_platform: Mapping[str, Any],
    platform: Platform | None,
    annotations: Mapping[str, Any],
    path: str,
) -> tuple[Feature, ...]:
    where = f"{path}.platform.features"
    listed = raw_platform.get("features") or []
    if not isinstance(listed, list):
        raise InvalidIndex(f"{where}: is not a list")
    texts = [(_text(text, where), where) for text in listed]
    if platform is not None and platform.architecture == "amd64" and platform.variant:
        texts.append((f"cpu:{platform.variant}", f"{path}.platform.variant"))
    for name, key in _FEATURE_ANNOTATIONS.items():
        if name in annotations:
            where = f"{path}.annotations.{name}"
            value = _text(annotations[name], where)
            split = value.split(",") if not key else [f"{key}:{value}"]
            texts += [(text, where) for text in split if text.strip()]
    if len(texts) > MAX_FEATURES:
        raise InvalidIndex(f"{path}: requires {len(texts)} features, more than {MAX_FEATURES}")
    return tuple(dict.fromkeys(_feature(text, where) for text, where in texts))


def _feature(text: str, where: str) -> Feature:
    try:
        return Feature.parse(text)
    except InvalidFeature as error:
        raise InvalidIndex(f"{where}: {error}") from error


def _object(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidIndex(f"{path}: is not an object")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidIndex(f"{path}: is not a string")
    return value
