"""The order of CPU microarchitectures, from archspec's graph.

A program built for a microarchitecture runs on it and on all its descendants;
archspec orders them by the instructions they offer, not by date. Names that
archspec does not know are compared as they stand.
"""

from functools import lru_cache

from archspec.cpu import TARGETS

from metahub_addon.match import Match

# Client cores that archspec leaves out. They execute what Skylake (client) executes:
# GCC and LLVM build for all of them with -march=skylake.
_BUILT_ON = {
    "amberlake": "skylake",
    "coffeelake": "skylake",
    "cometlake": "skylake",
    "kabylake": "skylake",
    "whiskeylake": "skylake",
}

# The psABI's levels by the short names that container platforms use as variants.
_LEVELS = {
    "v1": "x86_64",
    "v2": "x86_64_v2",
    "v3": "x86_64_v3",
    "v4": "x86_64_v4",
    "x86_64_v1": "x86_64",
    "amd64": "x86_64",
    "arm64": "aarch64",
}


def normalise(name: str) -> str:
    """The one spelling of a microarchitecture: `x86-64-v3`, `x86_64_v3` and `v3` are one."""
    folded = name.strip().lower().replace("-", "_")
    return _LEVELS.get(folded, folded)


@lru_cache(maxsize=1024)
def lineage(name: str) -> frozenset[str]:
    """The microarchitecture and all whose programs it runs, normalised."""
    own = normalise(name)
    known = TARGETS.get(_BUILT_ON.get(own, own))
    if known is None:
        return frozenset({own})
    return frozenset({own, known.name, *(ancestor.name for ancestor in known.ancestors)})


def match_cpu(target: str, host: str) -> Match:
    """Judge a program built for `target` on a host of the microarchitecture `host`.

    It fits when the target is the host's or one of its ancestors; the more the
    target's own lineage covers of the host's, the closer.
    """
    wanted, has = normalise(target), normalise(host)
    if wanted == has:
        return Match(f"built for this host's {has}", (0,))
    if wanted in lineage(has):
        return Match(
            f"{has} runs what was built for {wanted}",
            (len(lineage(has)) - len(lineage(wanted)),),
        )
    if wanted not in TARGETS and wanted not in _BUILT_ON:
        return Match(f"{wanted} is not a known microarchitecture and this host is {has}")
    return Match(f"built for {wanted}, this host is {has}")
