"""The orders of NVIDIA compute capabilities and of CUDA versions.

Sources: CUDA C++ Programming Guide, 'Binary Compatibility', 'PTX Compatibility' and
'Family-Specific Features'; CUDA Compiler Driver guide, 'GPU Feature List'; CUDA
Compatibility guide, 'Minor Version Compatibility'.
"""

import re
from dataclasses import dataclass

from metahub_addon.match import Match
from metahub_addon.versions import match_version, version

# Integrated (Tegra) GPUs: the guide excludes them from binary compatibility, both
# among themselves and with the discrete GPUs of the same major.
_INTEGRATED = frozenset({(5, 3), (6, 2), (7, 2), (8, 7), (8, 8), (10, 1), (11, 0)})

# Family-specific targets (suffix f) and the capabilities that belong to each.
_FAMILIES = {
    (10, 0): frozenset({(10, 0), (10, 3)}),
    (10, 1): frozenset({(10, 1)}),
    (10, 3): frozenset({(10, 3)}),
    (11, 0): frozenset({(11, 0)}),
    (12, 0): frozenset({(12, 0), (12, 1)}),
    (12, 1): frozenset({(12, 1)}),
}

_DOTTED = re.compile(r"(?P<major>[0-9]{1,3})\.(?P<minor>[0-9])(?P<suffix>[af]?)")
_JOINED = re.compile(r"(?:sm|compute)_(?P<major>[0-9]{1,3})(?P<minor>[0-9])(?P<suffix>[af]?)")


@dataclass(frozen=True, slots=True)
class Capability:
    """A compute capability, with `a` (this one only) or `f` (its family) as suffix."""

    major: int
    minor: int
    suffix: str = ""

    @classmethod
    def parse(cls, text: str) -> "Capability | None":
        """Read `8.0`, `sm_80`, `compute_80`, `9.0a` or `sm_100f`; None if it is none."""
        folded = text.strip().lower()
        found = _DOTTED.fullmatch(folded) or _JOINED.fullmatch(folded)
        if found is None:
            return None
        return cls(int(found["major"]), int(found["minor"]), found["suffix"])

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor, without the suffix."""
        return self.major, self.minor

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}{self.suffix}"


def match_native(target: str, host: str) -> Match:
    """Judge native code (a cubin) built for `target` on a GPU of capability `host`."""
    wanted, has = Capability.parse(target), Capability.parse(host)
    if wanted is None or has is None:
        return _unreadable(target, host)
    if _runs_natively(wanted, has):
        return Match(f"this GPU ({has.major}.{has.minor}) runs {target}", _gap(wanted, has))
    return Match(f"built for {target}, this GPU is {has.major}.{has.minor}")


def match_ptx(target: str, host: str) -> Match:
    """Judge PTX for `target`, compiled by the driver for a GPU of capability `host`.

    PTX runs on every later capability; with a suffix it is as bound as native code.
    """
    wanted, has = Capability.parse(target), Capability.parse(host)
    if wanted is None or has is None:
        return _unreadable(target, host)
    runs = _runs_natively(wanted, has) if wanted.suffix else wanted.version <= has.version
    if runs:
        return Match(f"the driver compiles PTX {target} for this GPU", _gap(wanted, has))
    return Match(f"PTX for {target}, this GPU is {has.major}.{has.minor}")


def match_cuda(required: str, has: str) -> Match:
    """Judge an image of CUDA `required` on a host whose driver supports CUDA `has`.

    Newer drivers run older CUDA; from CUDA 11 on a driver also runs later minor versions
    of its own major, native code only (see `compiles`). CUDA 11.0 came with drivers below
    that range, so that it does not count.
    """
    wanted, own = _cuda_version(required), _cuda_version(has)
    if wanted is None or own is None:
        return match_version(required, has)
    if wanted <= own:
        return Match(f"{has} is at least {required}", (0, own[0] - wanted[0], own[1] - wanted[1]))
    if wanted[0] == own[0] and own > (11, 0):
        why = f"{has} runs {required} by CUDA's minor-version compatibility"
        return Match(why, (1, 0, wanted[1] - own[1]))
    return Match(f"needs CUDA {required} or newer, this host's driver supports {has}")


def compiles(required: str, has: str) -> bool:
    """True if a driver for CUDA `has` compiles PTX of CUDA `required`: no later minor version."""
    wanted, own = _cuda_version(required), _cuda_version(has)
    return wanted is not None and own is not None and wanted <= own


def _cuda_version(text: str) -> tuple[int, ...] | None:
    """Major and minor: patch releases of CUDA do not count."""
    found = version(text)
    return found[:2] if found else None


def _runs_natively(wanted: Capability, has: Capability) -> bool:
    if wanted.suffix == "f":
        return has.version in _FAMILIES.get(wanted.version, frozenset({wanted.version}))
    if wanted.suffix == "a" or wanted.version == has.version:
        return wanted.version == has.version
    if wanted.version in _INTEGRATED or has.version in _INTEGRATED:
        return False
    return wanted.major == has.major and wanted.minor <= has.minor


def _gap(wanted: Capability, has: Capability) -> tuple[int, ...]:
    # At the same distance the code tied closest to the GPU comes first: a, f, plain.
    return (has.major - wanted.major, has.minor - wanted.minor, "af".find(wanted.suffix or "?") % 3)


def _unreadable(target: str, host: str) -> Match:
    if target == host:
        return Match(f"equal to this host's {host}", (0,))
    return Match(f"{target!r} and this host's {host!r} are not two compute capabilities")
