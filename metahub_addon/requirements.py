"""What a child requires, held against a machine: each requirement, and why.

Every requirement must hold, but GPU code in one image comes in several versions (a fat
binary: native code for some GPUs, PTX for later ones), of which one has to fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metahub_addon.cpu import host_flags, match_flag
from metahub_addon.cuda import compiles
from metahub_addon.features import Comparison, Feature, match_value
from metahub_addon.machine import Gpus, MachineType
from metahub_addon.match import Match

CPU_FLAG = "cpuflag"
_CODE_KEYS = (("nvcap", "nvptx"), ("gfx",))


@dataclass(frozen=True, slots=True)
class Held:
    """One requirement (or the alternatives of one), the key that it ranks by, its match."""

    features: tuple[Feature, ...]
    key: str
    match: Match

    @property
    def reason(self) -> str:
        """The sentence for it: what is required, and why it holds or does not."""
        return f"{', '.join(map(str, self.features))}: {self.match.why}"


def hold(requires: Sequence[Feature], machine: MachineType) -> tuple[Held, ...]:
    """Hold all that a child requires against a machine, in the child's order."""
    held: list[Held] = []
    told: set[tuple[str, ...]] = set()
    for feature in requires:
        keys = next((keys for keys in _CODE_KEYS if feature.key in keys), None)
        if keys is None:
            held.append(Held((feature,), feature.key, _match(feature, machine)))
        elif keys not in told:
            told.add(keys)
            code = tuple(other for other in requires if other.key in keys)
            held.append(_hold_code(code, requires, machine))
    return tuple(held)


def _match(feature: Feature, machine: MachineType) -> Match:
    """The closest match among the machine's values for a key; one must satisfy."""
    values = machine.values(feature.key)
    if feature.key == CPU_FLAG and not values:
        return match_flag(feature.value, host_flags(machine.values("cpu"), machine.cpu_flags))
    if not values:
        return Match(f"this host has no {feature.key}")
    by = machine.comparison(feature.key)
    flags = machine.cpu_flags
    return _closest([match_value(feature.value, value, by, flags) for value in values])


def _hold_code(
    code: tuple[Feature, ...], requires: Sequence[Feature], machine: MachineType
) -> Held:
    """Hold the alternatives of GPU code against every GPU that the image would see."""
    gpus = _gpus(machine, code)
    if not gpus:
        return Held(code, code[0].key, Match(f"this host has no {code[0].key}"))
    judged = [_on_one(code, gpu, _compiles_here(requires, machine), machine) for gpu in gpus]
    failed = [held for held in judged if not held.match.holds]
    fitting = sorted((held for held in judged if held.match.holds), key=_distance)
    if failed and (machine.gpus is Gpus.EVERY or not fitting):
        return failed[0]
    # One image for all GPUs is as good as on the one that it fits worst.
    return fitting[-1] if machine.gpus is Gpus.EVERY else fitting[0]


def _on_one(
    code: tuple[Feature, ...], gpu: Mapping[str, str], compiled: bool, machine: MachineType
) -> Held:
    held: list[Held] = []
    for feature in code:
        has = gpu.get(feature.key)
        if has is None:
            match = Match(f"this host has no {feature.key}")
        elif feature.key == "nvptx" and not compiled:
            match = Match("PTX of a later CUDA version than the driver compiles")
        else:
            match = match_value(feature.value, has, machine.comparison(feature.key))
        held.append(Held((feature,), feature.key, match))
    fitting = [one for one in held if one.match.holds]
    if fitting:
        return min(fitting, key=_distance)
    why = "; ".join(dict.fromkeys(one.match.why for one in held))
    return Held(code, code[0].key, Match(why))


def _gpus(machine: MachineType, code: Sequence[Feature]) -> list[Mapping[str, str]]:
    """Each GPU's values by key. `nvptx`, where given, is in the order of `nvcap`."""
    if code[0].key == "gfx":
        return [{"gfx": value} for value in machine.values("gfx")]
    native, ptx = machine.values("nvcap"), machine.values("nvptx")
    if not native:
        return [{"nvptx": value} for value in ptx]
    return [
        {"nvcap": value, "nvptx": ptx[min(at, len(ptx) - 1)]} for at, value in enumerate(native)
    ]


def _compiles_here(requires: Sequence[Feature], machine: MachineType) -> bool:
    """False if PTX comes from a CUDA that only minor-version compatibility would let run."""
    needed = [feature.value for feature in requires if feature.key == "cuda"]
    has = machine.values("cuda")
    if machine.comparison("cuda") is not Comparison.CUDA or not has:
        return True
    return all(any(compiles(value, own) for own in has) for value in needed)


def _closest(matches: Sequence[Match]) -> Match:
    holding = [match for match in matches if match.holds]
    return min(holding, key=lambda match: match.distance or ()) if holding else matches[0]


def _distance(held: Held) -> tuple[bool, tuple[int, ...]]:
    """Native code comes before what the driver has to compile."""
    return held.key == "nvptx", held.match.distance or ()
