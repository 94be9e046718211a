"""MachineType: a kind of host, and the profile files that describe one."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from metahub_addon.features import DEFAULT_COMPARISONS, Comparison, Feature, InvalidFeature
from metahub_addon.oci_platform import InvalidPlatform, Platform
from metahub_addon.strict_yaml import InvalidYaml, Value, read_yaml

# Accelerators decide most, then what links processes, then the CPU, then the kind of
# cloud instance (named as MetaHub's autologin names it).
DEFAULT_PREFER = (
    *("nvcap", "nvptx", "rocm", "mpi", "fabric", "cpu"),
    *("instType", "instSize", "instHT"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_KEYS = (
    *("machine_type", "name", "platform", "features"),
    *("prefer", "compare", "match", "otherwise"),
)
InvalidProfile = InvalidYaml

_Enum = TypeVar("_Enum", bound=StrEnum)


class MatchMode(StrEnum):
    """How a child's features are held against the machine's."""

    COMPATIBLE = "compatible"
    EXACT = "exact"


class Otherwise(StrEnum):
    """What a client gets when no child fits: what upstream said, or an error."""

    INDEX = "index"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """A kind of host: its name, platform and features, and how children are ranked."""

    name: str
    platform: Platform
    features: tuple[Feature, ...] = ()
    prefer: tuple[str, ...] = ()
    compare: Mapping[str, Comparison] = field(default_factory=lambda: MappingProxyType({}))
    match: MatchMode = MatchMode.COMPATIBLE
    otherwise: Otherwise = Otherwise.INDEX

    @property
    def ranking(self) -> tuple[str, ...]:
        """All keys in the order in which they decide: preferred, default, the machine's rest."""
        own = (feature.key for feature in self.features)
        return tuple(dict.fromkeys((*self.prefer, *DEFAULT_PREFER, *own)))

    def comparison(self, key: str) -> Comparison:
        """How values of a key are compared on this machine."""
        return self.compare.get(key, DEFAULT_COMPARISONS.get(key, Comparison.EXACT))

    def values(self, key: str) -> tuple[str, ...]:
        """The values that the machine has for a key.

        A level in the platform (`linux/amd64/v3`) is a CPU; the native capability of a
        GPU says which PTX it takes.
        """
        own = tuple(feature.value for feature in self.features if feature.key == key)
        if key == "cpu" and self.platform.architecture == "amd64" and self.platform.variant:
            own += (Feature.parse(f"cpu:{self.platform.variant}").value,)
        return own or (self.values("nvcap") if key == "nvptx" else ())


def parse_profile(text: str, source: str, this_host: Callable[[], Platform]) -> MachineType:
    """Read a profile's text; `this_host` tells the platform if the profile does not.

    MetaHub's `name` is taken for `machine_type`. Raises InvalidProfile, which names
    `source`, the line and the key, for anything unknown, wrong or given twice.
    """
    root = read_yaml(text, source)
    given = root.mapping()
    for key, value in given.items():
        if key not in _KEYS:
            raise value.error(f"unknown key, known are {', '.join(_KEYS)}")
    if "machine_type" in given and "name" in given:
        raise given["name"].error("stands beside machine_type, which means the same")
    named = given.get("machine_type") or given.get("name")
    if named is None:
        raise root.error("machine_type is missing")
    if not _NAME.fullmatch(named.text()):
        raise named.error(f"{named.text()!r} is no name (letters, digits, . _ + -)")
    return MachineType(
        name=named.text(),
        platform=_platform(given["platform"]) if "platform" in given else this_host(),
        features=_features(given["features"]) if "features" in given else (),
        prefer=_unique(given["prefer"]) if "prefer" in given else (),
        compare=_compare(given["compare"]) if "compare" in given else MappingProxyType({}),
        match=_choice(given.get("match"), MatchMode.COMPATIBLE),
        otherwise=_choice(given.get("otherwise"), Otherwise.INDEX),
    )


def _platform(value: Value) -> Platform:
    try:
        return Platform.parse(value.text())
    except InvalidPlatform as error:
        raise value.error(str(error)) from error


def _features(value: Value) -> tuple[Feature, ...]:
    features: list[Feature] = []
    for item in value.items():
        try:
            feature = Feature.parse(item.text())
        except InvalidFeature as error:
            raise item.error(str(error)) from error
        if feature in features:
            raise item.error(f"{feature} is given twice")
        features.append(feature)
    return tuple(features)


def _unique(value: Value) -> tuple[str, ...]:
    items = value.items()
    texts = [item.text() for item in items]
    for at, text in enumerate(texts):
        if text in texts[:at]:
            raise items[at].error(f"{text} is given twice")
    return tuple(texts)


def _compare(value: Value) -> Mapping[str, Comparison]:
    named = {key: _choice(item, Comparison.EXACT) for key, item in value.mapping().items()}
    return MappingProxyType(named)


def _choice(value: Value | None, default: _Enum) -> _Enum:
    if value is None:
        return default
    kind = type(default)
    try:
        return kind(value.text())
    except ValueError as error:
        if isinstance(error, InvalidYaml):
            raise
        known = ", ".join(member.value for member in kind)
        raise value.error(f"{value.text()!r} is unknown, known are {known}") from error
