"""The order of AMD GPU targets: a processor is exact, a generic one covers its family.

Source: LLVM, 'User Guide for AMDGPU Backend': 'Processors', 'Generic Processors',
'Target ID', 'Target Features'.
"""

import re

from metahub_addon.match import Match

_GENERIC = {
    "gfx9-generic": frozenset({"gfx900", "gfx902", "gfx904", "gfx906", "gfx909", "gfx90c"}),
    "gfx9-4-generic": frozenset({"gfx940", "gfx941", "gfx942", "gfx950"}),
    "gfx10-1-generic": frozenset({"gfx1010", "gfx1011", "gfx1012", "gfx1013"}),
    "gfx10-3-generic": frozenset({f"gfx103{step}" for step in range(7)}),
    "gfx11-generic": frozenset(
        {f"gfx110{step}" for step in range(4)} | {f"gfx115{step}" for step in range(4)}
    ),
    "gfx12-generic": frozenset({"gfx1200", "gfx1201"}),
}
_TARGET = re.compile(r"(?:amdgcn-amd-amdhsa--)?(?P<processor>gfx[0-9a-z-]*)(?P<modes>(?::[^:]+)*)")


def match_gfx(target: str, host: str) -> Match:
    """Judge code objects for `target` (`gfx90a`, `gfx90a:xnack-`) on a GPU `host`.

    A mode that the target names (xnack, sramecc) must be the host's; one that it leaves
    out runs with either.
    """
    wanted, has = _TARGET.fullmatch(target.strip().lower()), _TARGET.fullmatch(host.strip().lower())
    if wanted is None or has is None:
        if target == host:
            return Match(f"equal to this host's {host}", (0,))
        return Match(_not(target, host))
    processor, own = wanted["processor"], has["processor"]
    if own != processor and own not in _GENERIC.get(processor, ()):
        return Match(_not(target, own))
    modes, own_modes = _modes(wanted["modes"]), _modes(has["modes"])
    other = sorted(modes - own_modes)
    if other:
        mode = ", ".join(sorted(own_modes)) or "unknown"
        return Match(f"needs {other[0]}, this GPU's mode is {mode}")
    why = f"this GPU ({own}) runs {target}"
    return Match(why, (0 if own == processor else 1, len(own_modes - modes)))


def _modes(text: str) -> frozenset[str]:
    return frozenset(text.split(":")[1:])


def _not(target: str, host: str) -> str:
    return f"built for {target}, this GPU is {host}"
