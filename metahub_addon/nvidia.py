"""NVIDIA GPUs of a host: capability, driver and the CUDA version that it supports.

By NVIDIA's management library, else by nvidia-smi (NVIDIA, 'System Management Interface').
"""

import re

from metahub_addon.cuda import Capability
from metahub_addon.probe import (
    Absent,
    Fact,
    Found,
    NvidiaDriver,
    Probe,
    ProbeError,
    names_or_none,
    read_or_empty,
)

_QUERY = ("nvidia-smi", "--query-gpu=compute_cap,driver_version", "--format=csv,noheader")
_CUDA = re.compile(r"CUDA Version\s*:\s*([0-9]+\.[0-9]+)")
_SECONDS = 20.0  # without its persistence daemon the driver starts up first
_PCI = "/sys/bus/pci/devices"
_PCI_VENDOR = "0x10de"
_PCI_DISPLAYS = ("0x0300", "0x0302")


def find_nvidia(probe: Probe) -> Found:
    """The facts `nvcap`, `nvptx`, `driver` and `cuda`; a GPU without driver is a warning."""
    warnings: list[str] = []
    try:
        return _found(probe.nvml(), "NVIDIA's management library")
    except Absent:
        pass
    except ProbeError as error:
        warnings.append(f"NVIDIA's management library: {error}")
    try:
        listing = probe.run(_QUERY, _SECONDS)
        banner = probe.run(_QUERY[:1], _SECONDS)
    except Absent:
        if _has_gpu(probe):
            warnings.append("an NVIDIA GPU is there, but neither its library nor nvidia-smi")
        return Found((), tuple(warnings))
    except ProbeError as error:
        return Found((), (*warnings, f"nvidia-smi: {error}"))
    found = _found(parse_nvidia_smi(listing, banner), "nvidia-smi")
    return Found(found.facts, (*warnings, *found.warnings))


def parse_nvidia_smi(listing: str, banner: str) -> NvidiaDriver:
    """Read nvidia-smi's list of `compute_cap, driver_version` and its banner."""
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines()]
    rows = [row for row in rows if len(row) == 2]
    cuda = _CUDA.search(banner)
    return NvidiaDriver(
        driver=rows[0][1] if rows else "",
        cuda=cuda[1] if cuda else "",
        capabilities=tuple(row[0] for row in rows),
    )


def _found(report: NvidiaDriver, source: str) -> Found:
    readable = [text for text in report.capabilities if Capability.parse(text)]
    kinds = dict.fromkeys(readable)
    facts = [Fact(key, kind, source) for key in ("nvcap", "nvptx") for kind in kinds]
    versions = {"driver": report.driver, "cuda": report.cuda} if kinds else {}
    facts += [Fact(key, text, source) for key, text in versions.items() if text[:1].isdigit()]
    unread = len(report.capabilities) - len(readable)
    told = (f"{source}: no compute capability of {unread} GPU(s)",) if unread else ()
    return Found(tuple(facts), told)


def _has_gpu(probe: Probe) -> bool:
    return any(
        read_or_empty(probe, f"{_PCI}/{name}/vendor") == _PCI_VENDOR
        and read_or_empty(probe, f"{_PCI}/{name}/class").startswith(_PCI_DISPLAYS)
        for name in names_or_none(probe, _PCI)
    )
