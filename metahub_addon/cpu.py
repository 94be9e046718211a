"""Whether a program built for one CPU microarchitecture runs on another.

It does when every flag that the target's code needs is among the host's, whoever made
the host; where archspec lists no flags (POWER, RISC-V), when the host is the target or
descends from it. Names that archspec does not know are compared as they stand.
"""

from functools import lru_cache

from metahub_addon.match import Match
from metahub_addon.microarchitectures import (
    FIXED_VECTORS,
    completed,
    executes,
    family,
    flags_of,
    generic,
    generic_level,
    is_known,
    level,
    lineage,
    needs,
    normalise,
    offers,
)

_MAX_FLAGS_TOLD = 4


@lru_cache(maxsize=8192)
def match_cpu(target: str, host: str, flags: frozenset[str] = frozenset()) -> Match:
    """Judge a program built for `target` on a host of the microarchitecture `host`.

    `flags` are those that the host's kernel shows (empty: all that such a host has). The
    distance: how many generic levels (psABI, Armv8) the target leaves unused; then the
    host's own lineage by depth before others by the flags that they leave unused.
    """
    wanted, has = normalise(target), normalise(host)
    if not is_known(wanted):
        if wanted == has:
            return _match_own(wanted, has)
        return Match(f"{wanted} is not a known microarchitecture and this host is {has}")
    if not is_known(has) and flags and executes(family(wanted), wanted):
        has = generic_level(family(wanted), flags)  # a name of the operator's own: flags tell
    if not is_known(has):
        return Match(f"built for {wanted}, this host is {has}, which is not known")
    if not executes(has, wanted):
        if wanted in lineage(has):
            return _match_own(wanted, has)
        return Match(f"built for {wanted}, this host is {has}")
    own = completed(flags) if flags else offers(has)
    lacking = needs(wanted) - own
    if lacking:
        return Match(f"built for {wanted}: {_lack(lacking, wanted, has)}")
    if wanted in FIXED_VECTORS and wanted not in lineage(has):
        return Match(f"built for {wanted} and the length of its vectors, this host is {has}")
    unused = max(0, level(has) - level(wanted))
    if wanted in lineage(has):
        return _match_own(wanted, has, unused)
    surplus = len((own & flags_of(family(has))) - needs(wanted))
    return Match(f"this host ({has}) has every flag that {wanted} needs", (unused, 1, surplus))


def match_flag(required: str, flags: frozenset[str]) -> Match:
    """Judge a program that needs one CPU flag, by its name in /proc/cpuinfo."""
    if required.lower() in completed(flags):
        return Match("this host has it", (0,))
    return Match(f"needs {required}, this host lacks it")


def host_flags(hosts: tuple[str, ...], flags: frozenset[str]) -> frozenset[str]:
    """The flags of a host that may be known by its names only."""
    if flags:
        return flags
    names = (normalise(host) for host in hosts)
    return frozenset[str]().union(*(offers(name) for name in names if is_known(name)))


def _match_own(wanted: str, has: str, unused: int = 0) -> Match:
    """The host itself, or what it descends from, by depth."""
    if wanted == has:
        return Match(f"built for this host's {has}", (0,))
    depth = len(lineage(has)) - len(lineage(wanted))
    return Match(f"{has} runs what was built for {wanted}", (unused, 0, depth))


def _lack(lacking: frozenset[str], wanted: str, has: str) -> str:
    """In a user's words; those of a generic level first, the fundamental ones (avx512f)."""
    general = needs(generic(wanted))
    told = sorted(lacking, key=lambda flag: (flag not in general, len(flag), flag))
    listed = ", ".join(told[:_MAX_FLAGS_TOLD])
    more = len(told) - _MAX_FLAGS_TOLD
    listed += f" and {more} more" if more > 0 else ""
    return f"needs {listed}, this host ({has}) lacks {'it' if len(told) == 1 else 'them'}"
