"""All of archspec's targets by all of archspec's targets, against an independent oracle.

The oracle reads archspec's file by itself: a program runs where the host descends from its
target, or where every flag in the target's list is in the host's. Where we differ, one of
the reasons below must say why, and each reason must be needed. Run as a program, this file
prints the table and the differences.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import archspec
import pytest
from rich.console import Console
from rich.table import Table

from metahub_addon.cpu import match_cpu

FILE = Path(archspec.__file__).parent / "json/cpu/microarchitectures.json"
TARGETS: Mapping[str, Any] = json.loads(FILE.read_text())["microarchitectures"]
# What archspec's lists leave out or put too strictly (see microarchitectures.py).
INERT = {"pku", "flush_l1d", "tsc_adjust", "evtstrm", "cpuid"}
ZEN = {"adx", "rdrand", "sha_ni"}
ARM_LEVELS = {name for name in TARGETS if name.startswith(("armv8", "armv9"))}
# Published facts for the last line of defence: what a target's code contains that another
# maker's core has not. (Intel SDM vol. 1, ch. 5; AMD APM vol. 3, app. D; Arm ARM, A2.)
NEVER = [
    ("x86_64_v4", "zen3"),
    ("x86_64_v4", "skylake"),
    ("x86_64_v4", "alderlake"),
    ("x86_64_v3", "ivybridge"),
    ("bulldozer", "zen"),  # FMA4 and XOP are gone
    ("piledriver", "zen3"),
    ("k10", "bulldozer"),  # 3DNow! is gone
    ("zen", "icelake"),  # SSE4a and CLZERO are AMD's
    ("sapphirerapids", "zen5"),  # AMX
    ("alderlake", "zen4"),  # SERIALIZE, WAITPKG
    ("mic_knl", "icelake"),  # AVX-512ER and PF are Knights Landing's
    ("skylake_avx512", "mic_knl"),  # which has no BW, DQ and VL
    ("power9le", "power8le"),
    ("power10le", "power9le"),
    ("power8", "power8le"),  # the other byte order
    ("neoverse_v1", "neoverse_n1"),
    ("a64fx", "neoverse_n1"),  # SVE
    ("a64fx", "neoverse_v1"),  # vectors of another length
    ("a64fx", "neoverse_v2"),
    ("armv8.4a", "neoverse_n1"),
    ("armv9.0a", "neoverse_v1"),
    ("x60", "u74mc"),
    ("haswell", "aarch64"),
]
ALWAYS = [
    ("haswell", "zen"),
    ("broadwell", "zen2"),
    ("icelake", "zen4"),
    ("skylake_avx512", "zen4"),
    ("x86_64_v3", "zen"),
    ("x86_64_v4", "zen4"),
    ("x86_64_v4", "skylake_avx512"),
    ("skylake", "icelake"),
    ("haswell", "excavator"),
    ("i686", "x86_64_v3"),
    ("neoverse_n2", "neoverse_v2"),
    ("neoverse_n1", "neoverse_v2"),
    ("armv8.2a", "neoverse_n1"),
    ("power8le", "power10le"),
]


def flags(name: str) -> set[str]:
    found = set(TARGETS[name]["features"])
    return found | {"sse3"} if "ssse3" in found else found


def ancestors(name: str) -> set[str]:
    parents = TARGETS[name]["from"]
    return set(parents).union(*(ancestors(parent) for parent in parents))


def root(name: str) -> str:
    parents = TARGETS[name]["from"]
    return root(parents[0]) if parents else name


def oracle(target: str, host: str) -> bool:
    """By the graph, or by the flags where the target's list has any."""
    if target == host or target in ancestors(host):
        return True
    return root(target) == root(host) and bool(flags(target)) and flags(target) <= flags(host)


def justified(target: str, host: str, ours: bool) -> str:
    """Why we differ from the oracle in one pair; empty if there is no good reason."""
    lacking = flags(target) - flags(host)
    if root(target) == "x86" and root(host) == "x86_64":
        # With long mode come SSE2 and all below (psABI x86-64, 3.1.1), whatever is listed.
        return (
            "32-bit code on a 64-bit x86 core"
            if ours and lacking <= {"mmx", "sse", "sse2", "sse3"}
            else ""
        )
    if ours and lacking == {"avx_vnni"} and host == "sapphirerapids":
        return "AVX-VNNI, which archspec leaves out of Sapphire Rapids' list"
    if target == "a64fx" and not ours:
        return "code for one length of vectors, which no flag tells"
    if ours and root(host) == "x86_64" and lacking and lacking <= {"mmx", "sse", "sse2"}:
        return "every 64-bit x86 core has SSE2"
    if ours and lacking and lacking <= INERT | ZEN | {"rdpid"}:
        zens = {host, *ancestors(host)} & {"zen", "excavator"}
        if lacking - INERT and not zens:
            return ""
        return "flags that archspec leaves out of AMD's lists, or that no program needs"
    if ours and target in ARM_LEVELS | {"aarch64"} and root(host) == "aarch64":
        return "generic Arm level: by the flags of its mandatory instructions"
    if ours and target == "x86_64" and root(host) == "x86_64":
        return "the root runs everywhere"
    return ""


def differences() -> list[tuple[str, str, bool, str]]:
    found = []
    for host in TARGETS:
        for target in TARGETS:
            ours = match_cpu(target, host).holds
            if ours != oracle(target, host):
                found.append((target, host, ours, justified(target, host, ours)))
    return found


def test_every_difference_is_justified() -> None:
    assert [difference for difference in differences() if not difference[3]] == []


def test_every_reason_is_needed() -> None:
    reasons = Counter(reason for *_, reason in differences())
    assert set(reasons) == {
        "32-bit code on a 64-bit x86 core",
        "flags that archspec leaves out of AMD's lists, or that no program needs",
        "generic Arm level: by the flags of its mandatory instructions",
        "code for one length of vectors, which no flag tells",
        "AVX-VNNI, which archspec leaves out of Sapphire Rapids' list",
    }


def test_we_refuse_of_what_the_oracle_allows_only_code_for_one_length_of_vectors() -> None:
    refused = {target for target, _, ours, _ in differences() if not ours}
    assert refused == {"a64fx"}


def test_no_pair_where_the_host_lacks_a_flag() -> None:
    """The rule that matters: with the host's real flags, nothing that it lacks is chosen."""
    for host in TARGETS:
        own = frozenset(flags(host))
        for target in TARGETS:
            needed = flags(target) - INERT
            if own and needed and match_cpu(target, host, own).holds:
                assert needed <= own, f"{target} on {host}"


@pytest.mark.parametrize(("target", "host"), NEVER)
def test_never(target: str, host: str) -> None:
    assert not match_cpu(target, host).holds


@pytest.mark.parametrize(("target", "host"), ALWAYS)
def test_always(target: str, host: str) -> None:
    assert match_cpu(target, host).holds


def test_one_flag_less_and_it_does_not_run() -> None:
    for host in TARGETS:
        own = frozenset(flags(host))
        for flag in flags(host) - INERT - {"sse3"} if len(own) > 1 else ():
            verdict = match_cpu(host, host, own - {flag})
            assert not verdict.holds or flag == "ssse3", f"{host} without {flag}"
            if not verdict.holds:
                assert "lacks" in verdict.why


def main() -> None:
    """Print who runs what, and where we differ from the oracle, for people to look at."""
    console = Console(width=200)
    for architecture in ("x86_64", "aarch64", "ppc64le"):
        names = [name for name in TARGETS if root(name) == architecture]
        table = Table(title=f"{architecture}: does the host (row) run the target (column)?")
        table.add_column("host")
        for at in range(len(names)):
            table.add_column(str(at), justify="center")
        for at, host in enumerate(names):
            runs = ["x" if match_cpu(target, host).holds else "" for target in names]
            table.add_row(f"{at} {host}", *runs)
        console.print(table)
    differing = Table("host", "targets", "why", title="More than archspec's lists allow, and why")
    by_host: dict[tuple[str, str], list[str]] = {}
    for target, host, _, reason in differences():
        by_host.setdefault((host, reason), []).append(target)
    for (host, reason), targets in by_host.items():
        differing.add_row(host, ", ".join(targets), reason)
    console.print(differing)


if __name__ == "__main__":
    main()
