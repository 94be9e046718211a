"""What is known of CPU microarchitectures: names, lineage, and the flags that code needs.

The graph and the flags are archspec's. What its lists leave out or put too strictly is
completed here, each with the source.
"""

from functools import lru_cache

from archspec.cpu import TARGETS

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

# Names of compilers, vendors and earlier releases of archspec (GCC manual, 'x86 Options'
# and 'AArch64 Options'; archspec's changes for graviton*).
_ALIASES = {
    "core_avx2": "haswell",
    "core_avx_i": "ivybridge",
    "corei7": "nehalem",
    "corei7_avx": "sandybridge",
    "icelake_client": "icelake",
    "icelake_server": "icelake",
    "knl": "mic_knl",
    "skx": "skylake_avx512",
    "skylake_sp": "skylake_avx512",
    "amdfam10": "k10",
    "barcelona": "k10",
    "bdver1": "bulldozer",
    "bdver2": "piledriver",
    "bdver3": "steamroller",
    "bdver4": "excavator",
    "znver1": "zen",
    "znver2": "zen2",
    "znver3": "zen3",
    "znver4": "zen4",
    "znver5": "zen5",
    "graviton": "cortex_a72",
    "graviton2": "neoverse_n1",
    "graviton3": "neoverse_v1",
    "graviton4": "neoverse_v2",
    "grace": "neoverse_v2",
    "apple_m1": "m1",
    "apple_m2": "m2",
    "apple_m3": "m3",
    "apple_m4": "m4",
    **{f"armv{version}_a": f"armv{version}a" for version in ("8.1", "8.2", "8.3", "8.4")},
    **{f"armv{version}_a": f"armv{version}a" for version in ("8.5", "8.6", "9.2")},
    "armv8_a": "aarch64",
    "armv9_a": "armv9.0a",
    "power8_le": "power8le",
    "power9_le": "power9le",
    "power10_le": "power10le",
}

# Cores that archspec leaves out: what they execute, and the flags that they add
# (GCC manual, 'x86 Options'; GCC and LLVM build for the first five as for skylake).
_BUILT_ON: dict[str, tuple[str, frozenset[str]]] = {
    "amberlake": ("skylake", frozenset()),
    "coffeelake": ("skylake", frozenset()),
    "cometlake": ("skylake", frozenset()),
    "kabylake": ("skylake", frozenset()),
    "whiskeylake": ("skylake", frozenset()),
    "cooperlake": ("cascadelake", frozenset({"avx512_bf16"})),
    "emeraldrapids": ("sapphirerapids", frozenset()),
    "meteorlake": ("alderlake", frozenset()),
    "raptorlake": ("alderlake", frozenset()),
}

# Flags in archspec's lists that no unprivileged program depends on, and that kernels and
# hypervisors hide: memory protection keys (a program must ask the kernel for one first,
# pkeys(7); hidden in clouds, so that a Zen 3 would look like a Zen 2), a model-specific
# register for the kernel (flush_l1d, tsc_adjust), and on ARM what the kernel offers rather
# than the core (evtstrm, cpuid: Linux, 'ARM64 ELF hwcaps').
INERT = frozenset({"pku", "flush_l1d", "tsc_adjust", "evtstrm", "cpuid"})

# What a core has and archspec's list leaves out: compilers emit it for these targets
# (GCC manual, 'x86 Options': znver1 has RDRND, ADCX and SHA, znver2 RDPID, bdver4 RDRND).
_ALSO_HAS = {
    "x86_64": frozenset({"mmx", "sse", "sse2"}),  # psABI for x86-64, 'micro-architecture levels'
    "excavator": frozenset({"rdrand"}),
    "zen": frozenset({"adx", "rdrand", "sha_ni"}),
    "zen2": frozenset({"rdpid"}),
}

# What compilers emit on their own and archspec's list leaves out: GCC 12 makes of plain
# loops AVX-VNNI's dot products and AVX512-FP16's arithmetic for this target.
_ALSO_NEEDS = {"sapphirerapids": frozenset({"avx512_fp16", "avx_vnni"})}

# Targets whose code is bound to one length of SVE vectors, which no flag tells
# (archspec builds them with -msve-vector-bits).
FIXED_VECTORS = frozenset({"a64fx"})

# archspec lists no flags for ARM's generic levels. Those of the instructions that each
# level makes mandatory (Arm Architecture Reference Manual, A2; GCC manual, 'AArch64
# Options'), by their names in Linux.
_ARM_LEVELS = {
    "armv8.1a": frozenset({"atomics", "asimdrdm", "crc32"}),
    "armv8.2a": frozenset({"dcpop"}),
    "armv8.3a": frozenset({"fcma", "jscvt", "lrcpc"}),
    "armv8.4a": frozenset({"asimddp", "dit", "flagm", "ilrcpc", "uscat"}),
    "armv8.5a": frozenset({"dcpodp", "flagm2", "frint", "sb"}),
    "armv8.6a": frozenset({"bf16", "i8mm"}),
    "armv9.0a": frozenset({"sve", "sve2"}),
    "armv9.2a": frozenset({"wfxt"}),
}

# Architectures whose flags tell what code runs, and whose code each of them executes.
# POWER and RISC-V targets have no flags: there the graph alone counts.
_EXECUTES = {
    "x86_64": frozenset({"x86_64", "x86"}),
    "x86": frozenset({"x86"}),
    "aarch64": frozenset({"aarch64"}),
}


def normalise(name: str) -> str:
    """The one spelling of a microarchitecture: `x86-64-v3`, `x86_64_v3` and `v3` are one."""
    folded = name.strip().lower().replace("-", "_")
    folded = _LEVELS.get(folded, folded)
    return _ALIASES.get(folded, folded)


@lru_cache(maxsize=1024)
def lineage(name: str) -> frozenset[str]:
    """The microarchitecture and all that it descends from, normalised."""
    own = normalise(name)
    known = TARGETS.get(base(own))
    if known is None:
        return frozenset({own})
    return frozenset({own, known.name, *(ancestor.name for ancestor in known.ancestors)})


def base(name: str) -> str:
    """The microarchitecture in archspec that a normalised name stands for, else the name."""
    return _BUILT_ON[name][0] if name in _BUILT_ON else name


def is_known(name: str) -> bool:
    """True if a normalised name is archspec's or built on one that is."""
    return base(name) in TARGETS


def family(name: str) -> str:
    """The architecture at the root of a known name: `x86_64`, `aarch64`, `ppc64le`."""
    return str(TARGETS[base(name)].family)


def executes(host: str, target: str) -> bool:
    """True if the flags decide whether the host runs the target's code.

    They do not for a target whose list is empty (i686 on an i386), the root aside.
    """
    own, built = family(host), family(target)
    told = bool(needs(target)) or base(target) == built or own != built
    return told and built in _EXECUTES.get(own, frozenset())


@lru_cache(maxsize=1024)
def level(name: str) -> int:
    """How high the generic level is that a known name includes (x86-64-v3: 2)."""
    return len(TARGETS[base(name)].generic.ancestors)


def generic(name: str) -> str:
    """The highest generic level that a known name includes (haswell: x86_64_v3)."""
    return str(TARGETS[base(name)].generic.name)


@lru_cache(maxsize=1024)
def needs(name: str) -> frozenset[str]:
    """The flags that code built for a known name depends on."""
    target = TARGETS[base(name)]
    extra = _BUILT_ON[name][1] if name in _BUILT_ON else frozenset()
    levels = lineage(name) if target.vendor == "generic" else frozenset[str]()
    arm = (_ARM_LEVELS.get(ancestor, frozenset()) for ancestor in levels)
    also = (_ALSO_NEEDS.get(ancestor, frozenset()) for ancestor in lineage(name))
    return (frozenset(target.features) | extra).union(*arm, *also) - INERT


@lru_cache(maxsize=1024)
def offers(name: str) -> frozenset[str]:
    """The flags that every host of a known name has, as far as the name alone tells."""
    return completed(
        needs(name).union(
            *(needs(ancestor) for ancestor in lineage(name)),
            *(_ALSO_HAS.get(ancestor, frozenset()) for ancestor in lineage(name)),
        )
    )


@lru_cache(maxsize=64)
def completed(flags: frozenset[str]) -> frozenset[str]:
    """Flags as the kernel shows them, with SSE3 by its common name (Linux says pni)."""
    return flags | {"sse3"} if flags & {"pni", "ssse3"} else flags


@lru_cache(maxsize=8)
def flags_of(architecture: str) -> frozenset[str]:
    """All flags that code for some microarchitecture of an architecture needs."""
    names = [name for name, target in TARGETS.items() if str(target.family) == architecture]
    return frozenset[str]().union(*(needs(name) for name in names))


def generic_level(architecture: str, flags: frozenset[str]) -> str:
    """The highest generic level of an architecture that flags allow (x86_64: x86_64_v3)."""
    allowed = [
        target
        for target in TARGETS.values()
        if str(target.family) == architecture
        and target.vendor == "generic"
        and needs(target.name) <= completed(flags)
    ]
    return str(max(allowed, key=lambda target: (len(target.ancestors), target.name)).name)
