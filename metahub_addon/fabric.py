"""The high-speed networks of a host, by the devices that the kernel shows.

Source: Linux, Documentation/ABI/stable/sysfs-class-infiniband; the cxi driver's class.
"""

from collections.abc import Sequence

from metahub_addon.probe import Fact, Found, Probe, names_or_none, read_or_empty

_DEVICES = "/sys/class/infiniband"
_SLINGSHOT = "/sys/class/cxi"
_AMAZON = "0x1d0f"


def find_fabric(probe: Probe) -> Found:
    """The facts `fabric`: infiniband, roce, efa, omnipath, slingshot; idle ports are warnings."""
    found: dict[str, Fact] = {}
    warnings: list[str] = []
    for device in names_or_none(probe, _DEVICES):
        path = f"{_DEVICES}/{device}"
        ports = [f"{path}/ports/{port}" for port in names_or_none(probe, f"{path}/ports")]
        kind = _kind(probe, device, path, ports)
        if any("ACTIVE" in read_or_empty(probe, f"{port}/state") for port in ports):
            found.setdefault(kind, Fact("fabric", kind, path))
        else:
            warnings.append(f"{path}: no port of this {kind} device is active")
    for device in names_or_none(probe, _SLINGSHOT):
        fact = Fact("fabric", "slingshot", f"{_SLINGSHOT}/{device}")
        found.setdefault("slingshot", fact)
    return Found(tuple(found.values()), tuple(warnings))


def _kind(probe: Probe, device: str, path: str, ports: Sequence[str]) -> str:
    if read_or_empty(probe, f"{path}/device/vendor") == _AMAZON or device.startswith("efa"):
        return "efa"
    if device.startswith("hfi1"):
        return "omnipath"
    layers = {read_or_empty(probe, f"{port}/link_layer") for port in ports}
    return "roce" if layers == {"Ethernet"} else "infiniband"
