"""A feature, and how the value an image requires is compared with a machine's."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from metahub_addon.cpu import match_cpu, normalise
from metahub_addon.cuda import match_native, match_ptx
from metahub_addon.match import Match

MAX_FEATURE_LENGTH = 256


class InvalidFeature(ValueError):
    """A text that is no feature."""


@dataclass(frozen=True, slots=True)
class Feature:
    """`key:value`, or a bare flag (then the value is empty)."""

    key: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> "Feature":
        """Read `key:value` or `flag`; the value may itself hold colons.

        Raises InvalidFeature for an empty key, an empty value behind a colon, white
        space within, unprintable characters (they would reach logs, terminals and
        headers) or more than MAX_FEATURE_LENGTH characters.
        """
        stripped = text.strip()
        key, colon, value = stripped.partition(":")
        if not key or (colon and not value):
            raise InvalidFeature(f"{text!r} is neither key:value nor a flag")
        if len(stripped) > MAX_FEATURE_LENGTH:
            raise InvalidFeature(f"longer than {MAX_FEATURE_LENGTH} characters")
        if not stripped.isprintable() or " " in stripped or "," in stripped:
            raise InvalidFeature(f"{text!r} holds a space, a comma or an unprintable character")
        return cls(key, normalise(value) if key == "cpu" else value)

    def __str__(self) -> str:
        return f"{self.key}:{self.value}" if self.value else self.key


class Comparison(StrEnum):
    """The ways in which a required value can be held against a machine's."""

    EXACT = "exact"
    VERSION = "version"
    CPU = "cpu"
    NVCAP = "nvcap"
    NVPTX = "nvptx"


# MetaHub compares every key exactly. These have an order of their own; what is not
# listed stays exact, since nothing unknown may be assumed to run.
DEFAULT_COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {
        "cpu": Comparison.CPU,
        "nvcap": Comparison.NVCAP,
        "nvptx": Comparison.NVPTX,
        "cuda": Comparison.VERSION,
        "driver": Comparison.VERSION,
        "rocm": Comparison.VERSION,
        "glibc": Comparison.VERSION,
        "kernel": Comparison.VERSION,
    }
)

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_VERSION_PARTS = 6


def match_value(required: str, has: str, by: Comparison) -> Match:
    """Hold the value that an image requires against one that a machine has."""
    return _MATCHERS[by](required, has)


def _match_exact(required: str, has: str) -> Match:
    if required == has:
        return Match("equal", (0,))
    return Match(f"needs {required or 'the flag'}, this host has {has or 'the flag alone'}")


def _match_version(required: str, has: str) -> Match:
    minimum, own = _version(required), _version(has)
    if minimum is None or own is None:
        return _match_exact(required, has)
    if minimum <= own:
        return Match(
            f"{has} is at least {required}", tuple(b - a for a, b in zip(minimum, own, strict=True))
        )
    return Match(f"needs at least {required}, this host has {has}")


def _version(text: str) -> tuple[int, ...] | None:
    """The dotted numbers that a version starts with (`5.15.0-91-generic`: 5.15.0)."""
    found = _VERSION.match(text)
    if found is None:
        return None
    parts = [int(part[:9]) for part in found[0].split(".")[:_VERSION_PARTS]]
    return tuple(parts + [0] * (_VERSION_PARTS - len(parts)))


_MATCHERS: Mapping[Comparison, Callable[[str, str], Match]] = MappingProxyType(
    {
        Comparison.EXACT: _match_exact,
        Comparison.VERSION: _match_version,
        Comparison.CPU: match_cpu,
        Comparison.NVCAP: match_native,
        Comparison.NVPTX: match_ptx,
    }
)
