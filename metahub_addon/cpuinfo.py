"""/proc/cpuinfo → the microarchitecture that the host really runs, and its flags.

Only flags that the kernel shows count, so that a virtual machine with masked flags is
not taken for more than it runs. The way is archspec's: vendor, part number and flags on
x86 and ARM, the generation on POWER, the uarch on RISC-V.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archspec.cpu import TARGETS, Microarchitecture
from archspec.cpu.schema import TARGETS_JSON

from metahub_addon.microarchitectures import completed, level, lineage, needs, normalise

_ROOTS = {"i386": "x86", "i486": "x86", "i586": "x86", "armv8l": "aarch64"}
_POWER = re.compile(r"POWER([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Cpu:
    """A microarchitecture by its normalised name, and the kernel's flags (empty: none shown)."""

    name: str
    flags: frozenset[str] = frozenset()


def parse_cpuinfo(text: str, machine: str) -> Cpu:
    """Read /proc/cpuinfo of a host whose kernel calls its architecture `machine`."""
    root = normalise(_ROOTS.get(machine, machine))
    blocks = list(processors(text))
    if root in ("ppc64", "ppc64le"):
        return Cpu(_power(root, text))
    if root == "riscv64":
        return Cpu(_riscv(blocks))
    key = {"x86_64": "flags", "x86": "flags", "aarch64": "Features"}.get(root, "")
    listed = [frozenset(one[key].split()) for one in blocks if key in one]
    if not listed:
        return Cpu(root)
    # A program may be moved to any core: what one of them lacks, the host lacks.
    flags = completed(listed[0].intersection(*listed))
    kinds = dict.fromkeys(_kind(one) for one in blocks if key in one)
    names = [_name(root, vendor, part, flags) for vendor, part in kinds]
    common = frozenset(lineage(names[0])).intersection(*map(lineage, names))
    return Cpu(max(common, key=lambda name: len(lineage(name))), flags)


def processors(text: str) -> Iterator[Mapping[str, str]]:
    """One mapping for each processor; they are apart by empty lines."""
    for block in re.split(r"\n[ \t]*\n", text):
        pairs = (line.partition(":") for line in block.splitlines())
        found = {key.strip(): value.strip() for key, colon, value in pairs if colon}
        if found:
            yield found


def _kind(processor: Mapping[str, str]) -> tuple[str, str]:
    implementer = processor.get("CPU implementer", "")
    vendors = TARGETS_JSON["conversions"]["arm_vendors"]
    vendor = processor.get("vendor_id") or vendors.get(implementer, implementer)
    return vendor, processor.get("CPU part", "").lower()


def _name(root: str, vendor: str, part: str, flags: frozenset[str]) -> str:
    """The deepest target of the vendor whose needs are all met, else the best generic one."""
    fitting = [
        target
        for target in TARGETS.values()
        if str(target.family) == root
        and target.vendor in (vendor, "generic")
        and needs(target.name) <= flags
    ]
    generic = _deepest([target for target in fitting if target.vendor == "generic"])
    if root == "aarch64":
        own = [target for target in fitting if target.vendor == vendor != "generic"]
        exact = [target for target in own if target.cpu_part == part]
        # A part that archspec does not know may be more or less than its siblings: then the
        # generic level counts where it says more.
        sibling = _deepest(exact or own or [generic])
        return str(
            (sibling if exact or level(sibling.name) >= level(generic.name) else generic).name
        )
    # Only what includes the best generic level (as archspec does): one niche flag that a
    # hypervisor hides must not turn an AVX-512 host into one without.
    return str(_deepest([t for t in fitting if t == generic or generic in t.ancestors]).name)


def _deepest(targets: list[Microarchitecture]) -> Microarchitecture:
    return max(targets, key=lambda target: (len(target.ancestors), len(target.features)))


def _power(root: str, text: str) -> str:
    found = _POWER.search(text)
    generation = int(found[1]) if found else 0
    fitting = [
        target
        for target in TARGETS.values()
        if str(target.family) == root and target.generation <= generation
    ]
    return str(_deepest(fitting).name)


def _riscv(blocks: list[Mapping[str, str]]) -> str:
    """The core by its uarch (`sifive,u74-mc`) or model name, as far as it is known."""
    for processor in blocks:
        told = f"{processor.get('uarch', '')} {processor.get('model name', '')}".lower()
        for word in re.split(r"[\s,]+", told):
            name = word.replace("-", "")
            if name in TARGETS and str(TARGETS[name].family) == "riscv64":
                return name
    return "riscv64"
