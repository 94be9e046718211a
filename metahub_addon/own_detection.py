"""What a profile wants to be detected → the machine type with what was found.

Commands run once, when the profile is taken up, never for a request.
"""

import re
from collections.abc import Callable
from dataclasses import replace

from metahub_addon.detect import Detection
from metahub_addon.features import Feature, InvalidFeature
from metahub_addon.machine import MachineType
from metahub_addon.probe import Probe, ProbeError
from metahub_addon.profile_parser import Profile, Wanted

_MAX_VALUES = 64


def complete(
    profile: Profile, probe: Probe, detection: Callable[[], Detection]
) -> tuple[MachineType, tuple[str, ...]]:
    """The profile's machine type with the features that it wants detected, and warnings.

    `detection` is only called if the profile asks for what metahub itself finds.
    """
    machine = profile.machine
    features = dict.fromkeys(machine.features)
    flags = machine.cpu_flags
    warnings: list[str] = []
    for wanted in profile.wanted:
        if wanted.own:
            found, said = _find(wanted, probe)
        else:
            host = detection()
            found, said = _of_host(wanted, host)
            if wanted.key in ("cpu", "*"):
                flags = flags or host.machine.cpu_flags
        features.update(dict.fromkeys(found))
        warnings += said
    return replace(machine, features=tuple(features), cpu_flags=flags), tuple(warnings)


def _of_host(wanted: Wanted, host: Detection) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    everything = wanted.key == "*"
    found = tuple(f for f in host.machine.features if everything or f.key == wanted.key)
    nothing = (f"detect.{wanted.key}: this host has none",)
    return found, (host.warnings if everything else ()) if found else nothing


def _find(wanted: Wanted, probe: Probe) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    where = f"detect.{wanted.key}"
    try:
        if wanted.command:
            text = probe.run(wanted.command, wanted.seconds)
        else:
            text = probe.read(wanted.file)
    except ProbeError as error:
        return (), (f"{where}: {error}",)
    features: dict[Feature, None] = {}
    warnings: list[str] = []
    for value in _values(text, wanted.pattern)[:_MAX_VALUES]:
        try:
            features[Feature.parse(f"{wanted.key}:{value}")] = None
        except InvalidFeature as error:
            warnings.append(f"{where}: {error}")
    if not features and not warnings:
        warnings.append(f"{where}: nothing was found")
    return tuple(features), tuple(warnings)


def _values(text: str, pattern: str) -> list[str]:
    if not pattern:
        return [line.strip() for line in text.splitlines() if line.strip()]
    found = re.finditer(pattern, text, re.MULTILINE)
    values = (one[1] if one.re.groups else one[0] for one in found)
    return [value for value in values if value]
