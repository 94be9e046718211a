"""Detect the host: its platform, and its CPU as archspec sees it."""

import platform

from archspec.cpu import host

from metahub_addon.features import Feature
from metahub_addon.machine import MachineType
from metahub_addon.oci_platform import Platform


def detect_platform() -> Platform:
    """The platform of this host, without a variant."""
    return Platform.normalised("linux", platform.machine() or "unknown")


def detect() -> MachineType:
    """The host as a machine type, named after its CPU.

    archspec takes the flags that the kernel shows into account, so that a virtual
    machine with masked flags is not taken for more than it runs.
    """
    cpu = Feature("cpu", host().name)
    return MachineType(name=f"detected-{cpu.value}", platform=detect_platform(), features=(cpu,))
