"""One C program, compiled for several microarchitectures: it runs where they do."""

import subprocess
from pathlib import Path

# Variant → gcc's -march and the features that its image requires.
VARIANTS = {
    "generic": ("x86-64", []),
    "v2": ("x86-64-v2", ["cpu:x86-64-v2"]),
    "v3": ("x86-64-v3", ["cpu:x86-64-v3"]),
    "haswell": ("haswell", ["cpu:haswell"]),
    "zen3": ("znver3", ["cpu:zen3"]),
    "v4": ("x86-64-v4", ["cpu:x86-64-v4"]),
    "skylake_avx512": ("skylake-avx512", ["cpu:skylake_avx512"]),
    "icelake": ("icelake-server", ["cpu:icelake"]),
    "sapphirerapids": ("sapphirerapids", ["cpu:sapphirerapids"]),
}
# The flags of each psABI level as Linux names them (x86-64 psABI, 3.1.1).
LEVELS = {
    "x86-64": set[str](),
    "x86-64-v2": {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"},
    "x86-64-v3": {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
LEVEL_OF = {
    **{"generic": "x86-64", "v2": "x86-64-v2", "v3": "x86-64-v3", "v4": "x86-64-v4"},
    **{"haswell": "x86-64-v3", "zen3": "x86-64-v3", "skylake_avx512": "x86-64-v4"},
    **{"icelake": "x86-64-v4", "sapphirerapids": "x86-64-v4"},
}
# With -O3 the loops become the target's vector and fused multiply-add instructions.
PROGRAM = r"""
#include <stdint.h>
#include <stdio.h>
enum { N = 4099 };
static float a[N], b[N];
static int32_t c[N];
int main(void) {
    for (int i = 0; i < N; i++) { a[i] = i % 7; b[i] = i % 5; c[i] = i % 11; }
    float sum = 0; int32_t ones = 0;
    for (int i = 0; i < N; i++) sum += a[i] * b[i] + 0.5f;
    for (int i = 0; i < N; i++) ones += __builtin_popcount(c[i] << (c[i] & 3));
    printf("%s %.0f %d\n", VARIANT, sum, ones);
    return 0;
}
"""


def compile_programs(folder: Path) -> dict[str, bytes]:
    """The static programs by variant; raises CalledProcessError."""
    source = folder / "program.c"
    source.write_text(PROGRAM)
    programs = {}
    for variant, (march, _) in VARIANTS.items():
        program = folder / variant
        flags = ["-O3", "-ffast-math", "-static", f"-march={march}", f'-DVARIANT="{variant}"']
        subprocess.run(["gcc", *flags, "-o", program, source], check=True)
        programs[variant] = program.read_bytes()
    return programs


def highest_level(flags: set[str]) -> str:
    """The highest psABI level that a host with such flags has."""
    reached = "x86-64"
    for level, needed in LEVELS.items():
        if not needed <= flags:
            break
        reached = level
    return reached


def masked(cpuinfo: str, hidden: tuple[str, ...]) -> str:
    """What a hypervisor that hides flags (by how they start) would let the kernel show."""
    lines = []
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if key.strip() == "flags":
            shown = [flag for flag in value.split() if not flag.startswith(hidden)]
            line = f"{key}{colon} {' '.join(shown)}"  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines) + "\n"
