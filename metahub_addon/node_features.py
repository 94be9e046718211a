"""A host by Node Feature Discovery's names, for the rules of its compatibility artifacts.

Only what can be read without privileges; any other feature is not known, and a rule that
asks for it does not hold. Source: NFD, 'Feature labels' and 'NodeFeatureRule: available
features'.
"""

import re
from collections.abc import Iterable, Mapping

from metahub_addon.cpuinfo import processors
from metahub_addon.nfd import NodeFeatures
from metahub_addon.probe import Probe, names_or_none, read_or_empty

_PCI = "/sys/bus/pci/devices"
_PCI_ATTRIBUTES = ("vendor", "device", "class", "subsystem_vendor", "subsystem_device")
_VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon"}
# Linux' names of flags that NFD (by its cpuid library) calls otherwise.
_CPUID = {
    "abm": "LZCNT",
    "aes": "AESNI",
    "fma": "FMA3",
    "pclmulqdq": "CLMUL",
    "pni": "SSE3",
    "sha_ni": "SHA",
    "sse4_1": "SSE4",
    "sse4_2": "SSE42",
}


def find_node_features(probe: Probe) -> NodeFeatures:
    """Look at a host: CPU, kernel, modules, PCI devices and the distribution."""
    cpu = next(processors(read_or_empty(probe, "/proc/cpuinfo")), {})
    features = {
        "cpu.cpuid": [_flags(_cpuid(cpu.get("flags", cpu.get("Features", "")).split()))],
        "cpu.model": [_cpu_model(cpu)],
        "cpu.topology": [_topology(probe)],
        "kernel.version": [_kernel(read_or_empty(probe, "/proc/sys/kernel/osrelease"))],
        "kernel.loadedmodule": [_flags(_modules(probe))],
        "pci.device": [_pci(probe, device) for device in names_or_none(probe, _PCI)],
        "system.osrelease": [_os_release(read_or_empty(probe, "/etc/os-release"))],
    }
    return NodeFeatures({name: tuple(filter(None, found)) for name, found in features.items()})


def _flags(names: Iterable[str]) -> Mapping[str, str]:
    return dict.fromkeys(names, "")


def _cpuid(flags: Iterable[str]) -> Iterable[str]:
    return (_CPUID.get(flag, flag.replace("_", "").upper()) for flag in flags)


def _cpu_model(cpu: Mapping[str, str]) -> Mapping[str, str]:
    vendor = cpu.get("vendor_id", "")
    named = {"vendor_id": _VENDORS.get(vendor, vendor)} if vendor else {}
    for name, key in (("family", "cpu family"), ("id", "model")):
        if key in cpu:
            named[name] = cpu[key]
    return named


def _topology(probe: Probe) -> Mapping[str, str]:
    active = read_or_empty(probe, "/sys/devices/system/cpu/smt/active")
    shown = {"0": "false", "1": "true"}.get(active)
    return {"hardware_multithreading": shown} if shown else {}


def _kernel(release: str) -> Mapping[str, str]:
    found = re.match(r"([0-9]+)\.([0-9]+)(?:\.([0-9]+))?", release)
    if not found:
        return {}
    parts = {"major": found[1], "minor": found[2], "revision": found[3] or "0"}
    return {"full": release, **parts}


def _modules(probe: Probe) -> Iterable[str]:
    lines = read_or_empty(probe, "/proc/modules").splitlines()
    names = [line.split()[0] for line in lines if line.strip()]
    # The kernel writes an underscore where a module's own name may have a hyphen.
    return [*names, *(name.replace("_", "-") for name in names)]


def _pci(probe: Probe, device: str) -> Mapping[str, str]:
    found = {name: read_or_empty(probe, f"{_PCI}/{device}/{name}") for name in _PCI_ATTRIBUTES}
    # Of the class without its programming interface, as NFD has it.
    kept = {name: text.removeprefix("0x")[:4] for name, text in found.items()}
    return {name: text for name, text in kept.items() if text}


def _os_release(text: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in text.splitlines())
    found = {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}
    version = re.match(r"([0-9]+)(?:\.([0-9]+))?", found.get("VERSION_ID", ""))
    if version:
        found["VERSION_ID.major"] = version[1]
        found["VERSION_ID.minor"] = version[2] or ""
    return found
