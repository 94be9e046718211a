"""Children, indexes and machine types in one line, for the tests of pure modules."""

from typing import Any

from metahub_addon.features import Feature
from metahub_addon.index import Child, Index
from metahub_addon.machine import MachineType
from metahub_addon.media_types import DOCKER_LIST, DOCKER_MANIFEST
from metahub_addon.oci_platform import Platform


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def child(number: int, *requires: str, **more: Any) -> Child:
    """A linux/amd64 image that requires features; its digest counts up from the number."""
    given: dict[str, Any] = {
        "media_type": DOCKER_MANIFEST,
        "digest": digest(number),
        "size": 2,
        "platform": Platform("linux", "amd64"),
        "requires": tuple(map(Feature.parse, requires)),
    }
    return Child(**(given | more))


def index(*children: Child) -> Index:
    return Index(media_type=DOCKER_LIST, children=children)


def family(*variants: list[str]) -> Index:
    """An index of images, one for each list of features."""
    return index(*(child(at, *requires) for at, requires in enumerate(variants)))


def machine(*features: str, **more: Any) -> MachineType:
    given: dict[str, Any] = {
        "name": "host",
        "platform": Platform("linux", "amd64"),
        "features": tuple(map(Feature.parse, features)),
    }
    return MachineType(**(given | more))
