"""A feature, and how the value an image requires is compared with a machine's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from metahub_addon.cpu import match_cpu
from metahub_addon.cuda import match_cuda, match_native, match_ptx
from metahub_addon.gfx import match_gfx
from metahub_addon.match import Match
from metahub_addon.microarchitectures import normalise
from metahub_addon.versions import match_exact, match_version

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
        if key == "rocm" and value.startswith("gfx"):
            key = "gfx"  # some name the GPU's target where others name ROCm's version
        return cls(key, normalise(value) if key == "cpu" else value)

    def __str__(self) -> str:
        return f"{self.key}:{self.value}" if self.value else self.key


class Comparison(StrEnum):
    """The ways in which a required value can be held against a machine's."""

    EXACT = "exact"
    VERSION = "version"
    CPU = "cpu"
    CUDA = "cuda"
    GFX = "gfx"
    NVCAP = "nvcap"
    NVPTX = "nvptx"


# MetaHub compares every key exactly. These have an order of their own; what is not
# listed stays exact, since nothing unknown may be assumed to run.
DEFAULT_COMPARISONS: Mapping[str, Comparison] = MappingProxyType(
    {
        "cpu": Comparison.CPU,
        "nvcap": Comparison.NVCAP,
        "nvptx": Comparison.NVPTX,
        "gfx": Comparison.GFX,
        "cuda": Comparison.CUDA,
        "driver": Comparison.VERSION,
        "rocm": Comparison.VERSION,
        "glibc": Comparison.VERSION,
        "kernel": Comparison.VERSION,
    }
)


def match_value(
    required: str, has: str, by: Comparison, cpu_flags: frozenset[str] = frozenset()
) -> Match:
    """Hold the value that an image requires against one that a machine has.

    `cpu_flags` are the host's, where they are known (they count for `cpu` only).
    """
    if by is Comparison.CPU:
        return match_cpu(required, has, cpu_flags)
    return _MATCHERS[by](required, has)


_MATCHERS: Mapping[Comparison, Callable[[str, str], Match]] = MappingProxyType(
    {
        Comparison.EXACT: match_exact,
        Comparison.VERSION: match_version,
        Comparison.CUDA: match_cuda,
        Comparison.NVCAP: match_native,
        Comparison.NVPTX: match_ptx,
        Comparison.GFX: match_gfx,
    }
)
