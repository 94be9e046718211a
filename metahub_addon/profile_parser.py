"""A profile's text → MachineType, and what the profile wants to be detected.

Everything unknown, wrong or given twice is an error that names file, line and key.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from metahub_addon.features import Comparison, Feature, InvalidFeature
from metahub_addon.machine import Gpus, MachineType, MatchMode, Otherwise
from metahub_addon.oci_platform import InvalidPlatform, Platform
from metahub_addon.strict_keys import absolute_path, strict_keys, unique_texts
from metahub_addon.strict_yaml import InvalidYaml, Value, read_yaml

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_MACHINE_KEYS = (
    *("machine_type", "name", "platform", "features", "cpu_flags"),
    *("prefer", "compare", "match", "otherwise", "gpus"),
)
_KEYS = (*_MACHINE_KEYS[:5], "detect", *_MACHINE_KEYS[5:])
_DETECT_KEYS = ("command", "file", "pattern", "seconds")
_FLAG = re.compile(r"[a-z0-9_.]{1,64}")
_SECONDS = 5.0
_MAX_SECONDS = 60.0
InvalidProfile = InvalidYaml

_Enum = TypeVar("_Enum", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A key whose values are found on the host: by a command, in a file, or by metahub.

    Each line of the output is a value; with `pattern`, its first group (or the whole
    match). Neither command nor file: what `metahub detect` finds (key `*`: everything).
    """

    key: str
    command: tuple[str, ...] = ()
    file: str = ""
    pattern: str = ""
    seconds: float = _SECONDS

    @property
    def own(self) -> bool:
        """True for the user's own detection."""
        return bool(self.command or self.file)


@dataclass(frozen=True, slots=True)
class Profile:
    """The machine type that a profile states, and what is to be detected besides."""

    machine: MachineType
    wanted: tuple[Wanted, ...] = ()


def parse_profile(text: str, source: str, this_host: Callable[[], Platform]) -> Profile:
    """Read a profile's text; `this_host` tells the platform if the profile does not.

    MetaHub's `name` is taken for `machine_type`. Raises InvalidProfile, which names
    `source`, the line and the key, for anything unknown, wrong or given twice.
    """
    root = read_yaml(text, source)
    given = strict_keys(root, _KEYS)
    machine = _machine(root, given, this_host)
    return Profile(machine, _wanted(given["detect"]) if "detect" in given else ())


def parse_machine(value: Value, this_host: Callable[[], Platform]) -> MachineType:
    """Read a machine type that stands within a file: a profile's keys but `detect`.

    Raises InvalidProfile, as `parse_profile` does.
    """
    return _machine(value, strict_keys(value, _MACHINE_KEYS), this_host)


def _machine(
    value: Value, given: Mapping[str, Value], this_host: Callable[[], Platform]
) -> MachineType:
    if "machine_type" in given and "name" in given:
        raise given["name"].error("stands beside machine_type, which means the same")
    named = given.get("machine_type") or given.get("name")
    if named is None:
        raise value.error("machine_type is missing")
    if not _NAME.fullmatch(named.text()):
        raise named.error(f"{named.text()!r} is no name (letters, digits, . _ + -)")
    return MachineType(
        name=named.text(),
        platform=_platform(given["platform"]) if "platform" in given else this_host(),
        features=_features(given["features"]) if "features" in given else (),
        prefer=unique_texts(given["prefer"]) if "prefer" in given else (),
        compare=_compare(given["compare"]) if "compare" in given else MappingProxyType({}),
        match=_choice(given.get("match"), MatchMode.COMPATIBLE),
        otherwise=_choice(given.get("otherwise"), Otherwise.INDEX),
        gpus=_choice(given.get("gpus"), Gpus.EVERY),
        cpu_flags=_flags(given["cpu_flags"]) if "cpu_flags" in given else frozenset(),
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


def _flags(value: Value) -> frozenset[str]:
    """CPU flags, written as /proc/cpuinfo does."""
    flags = value.text().lower().split()
    for flag in flags:
        if not _FLAG.fullmatch(flag):
            raise value.error(f"{flag!r} is no CPU flag")
    return frozenset(flags)


def _wanted(value: Value) -> tuple[Wanted, ...]:
    return tuple(_one_wanted(key, item) for key, item in value.mapping().items())


def _one_wanted(key: str, value: Value) -> Wanted:
    if key != "*":
        try:
            Feature.parse(f"{key}:x")
        except InvalidFeature as error:
            raise value.error(f"{key!r} is no feature's key") from error
    if value.is_text:
        if value.text() != "host":
            raise value.error("is neither `host` nor a mapping with command or file")
        return Wanted(key=key)
    given = strict_keys(value, _DETECT_KEYS)
    if ("command" in given) == ("file" in given) or key == "*":
        raise value.error("needs a key of its own and either command or file")
    return Wanted(
        key=key,
        command=_command(given["command"]) if "command" in given else (),
        file=absolute_path(given["file"]) if "file" in given else "",
        pattern=_pattern(given["pattern"]) if "pattern" in given else "",
        seconds=_seconds(given["seconds"]) if "seconds" in given else _SECONDS,
    )


def _command(value: Value) -> tuple[str, ...]:
    """A command and its arguments; no shell is involved."""
    if not value.is_text:
        words = tuple(item.text() for item in value.items())
    else:
        try:
            words = tuple(shlex.split(value.text()))
        except ValueError as error:
            raise value.error(f"cannot be split into words: {error}") from error
    if not words:
        raise value.error("names no command")
    return words


def _pattern(value: Value) -> str:
    try:
        re.compile(value.text())
    except re.error as error:
        raise value.error(f"is no regular expression: {error}") from error
    return value.text()


def _seconds(value: Value) -> float:
    seconds = value.number()
    if not 0 < seconds <= _MAX_SECONDS:
        raise value.error(f"is not above 0 and at most {_MAX_SECONDS:g}")
    return seconds
