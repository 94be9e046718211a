"""A host → MachineType: every fact with its source, what is missing as a warning."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from metahub_addon.amdgpu import find_amdgpu
from metahub_addon.cloud import find_cloud, find_threads
from metahub_addon.cpuinfo import Cpu, parse_cpuinfo
from metahub_addon.fabric import find_fabric
from metahub_addon.features import Feature, InvalidFeature
from metahub_addon.machine import MachineType
from metahub_addon.microarchitectures import generic_level
from metahub_addon.nvidia import find_nvidia
from metahub_addon.oci_platform import InvalidPlatform, Platform
from metahub_addon.probe import Fact, Found, Probe, ProbeError

_CPUINFO = "/proc/cpuinfo"
_KERNEL = "/proc/sys/kernel/osrelease"
_LIBC = ("getconf", "GNU_LIBC_VERSION")
_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Detection:
    """A host as a machine type, the facts that it was made of, and what was not to be had."""

    machine: MachineType
    facts: tuple[Fact, ...]
    warnings: tuple[str, ...]


def detect_platform(probe: Probe) -> Platform:
    """The platform of a host, without a variant."""
    try:
        return Platform.normalised("linux", probe.machine)
    except InvalidPlatform:
        return Platform("linux", "unknown")


def detect(probe: Probe, metadata: bool = True) -> Detection:
    """Look at a host; `metadata` allows to ask a cloud's metadata service (seconds at most).

    Never raises for what a host has or lacks: a part that is broken is a warning.
    """
    parts: tuple[Callable[[Probe], Found], ...] = (
        *(find_nvidia, find_amdgpu, find_fabric, _libc, _kernel, find_threads),
        lambda probe: find_cloud(probe, metadata),
    )
    cpu, found = _cpu(probe)
    findings = [found, *(part(probe) for part in parts)]
    facts: list[Fact] = []
    warnings = [warning for one in findings for warning in one.warnings]
    features: dict[Feature, None] = {}
    for fact in (fact for one in findings for fact in one.facts):
        try:
            features[Feature.parse(str(fact))] = None
        except InvalidFeature as error:
            warnings.append(f"{fact.source}: {error}")
        else:
            facts.append(fact)
    machine = MachineType(
        name=_name(facts),
        platform=_platform(probe, cpu),
        features=tuple(features),
        cpu_flags=cpu.flags,
    )
    return Detection(machine, tuple(facts), tuple(warnings))


def _platform(probe: Probe, cpu: Cpu) -> Platform:
    """With the level of an Arm host, since images of higher levels do not run on a plain one."""
    found = detect_platform(probe)
    if found.architecture != "arm64" or not cpu.flags:
        return found
    level = generic_level("aarch64", cpu.flags).removeprefix("arm").removesuffix("a")
    return Platform.normalised(
        "linux", "arm64", level.removesuffix(".0") if level[:1] == "v" else ""
    )


def _cpu(probe: Probe) -> tuple[Cpu, Found]:
    try:
        cpu = parse_cpuinfo(probe.read(_CPUINFO), probe.machine)
    except ProbeError as error:
        return Cpu(""), Found((), (str(error),))
    return cpu, Found((Fact("cpu", cpu.name, _CPUINFO),))


def _libc(probe: Probe) -> Found:
    """The GNU C library that host libraries (an injected MPI, a driver) are built for."""
    try:
        told = re.fullmatch(r"glibc ([0-9.]+)", probe.run(_LIBC, _SECONDS).strip())
    except ProbeError:
        return Found()  # a host with another C library
    return Found((Fact("glibc", told[1], " ".join(_LIBC)),) if told else ())


def _kernel(probe: Probe) -> Found:
    try:
        release = re.match(r"[0-9]+(?:\.[0-9]+)+", probe.read(_KERNEL))
    except ProbeError as error:
        return Found((), (str(error),))
    return Found((Fact("kernel", release[0], _KERNEL),) if release else ())


def _name(facts: list[Fact]) -> str:
    """What tells this kind of host from others: its CPU and GPUs."""
    told = [fact.value for fact in facts if fact.key in ("cpu", "nvcap", "gfx")]
    return re.sub(r"[^A-Za-z0-9._+-]", "_", "-".join(["detected", *told]))[:128]
