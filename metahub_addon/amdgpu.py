"""AMD GPUs of a host, as the kernel's compute driver lists them, and ROCm's version.

Source: Linux, drivers/gpu/drm/amd/amdkfd (`gfx_target_version`: decimal major, minor and
stepping, the latter two in two digits each).
"""

import re

from metahub_addon.probe import Fact, Found, Probe, names_or_none, read_or_empty

_NODES = "/sys/class/kfd/kfd/topology/nodes"
_TARGET = re.compile(r"^gfx_target_version ([0-9]{1,6})$", re.MULTILINE)
_ROCM = "/opt/rocm/.info/version"


def find_amdgpu(probe: Probe) -> Found:
    """The facts `gfx` (each kind of GPU) and `rocm` (where it is installed)."""
    found: dict[str, Fact] = {}
    for node in names_or_none(probe, _NODES):
        path = f"{_NODES}/{node}/properties"
        target = _TARGET.search(read_or_empty(probe, path))
        if target and int(target[1]):
            name = gfx_name(int(target[1]))
            found.setdefault(name, Fact("gfx", name, path))
    facts = list(found.values())
    version = re.match(r"[0-9]+(?:\.[0-9]+)+", read_or_empty(probe, _ROCM))
    if facts and version:
        facts.append(Fact("rocm", version[0], _ROCM))
    return Found(tuple(facts))


def gfx_name(version: int) -> str:
    """LLVM's name of a target: 90010 is gfx90a, 110000 is gfx1100."""
    major, minor, stepping = version // 10000, version // 100 % 100, version % 100
    return f"gfx{major}{minor:x}{stepping:x}"
