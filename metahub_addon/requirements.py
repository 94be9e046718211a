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
_CODE_KEYS = {
    "nvcap": ("nvcap", "nvptx"),
    "nvptx": ("nvcap", "nvptx"),
    "gfx": ("gfx",),
}


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


class Requirements:
    """Holds what children require against one machine, each distinct requirement once."""

    def __init__(self, machine: MachineType) -> None:
        self._machine = machine
        self._values: dict[str, tuple[str, ...]] = {}
        self._single: dict[Feature, Held] = {}
        self._code: dict[tuple[tuple[Feature, ...], bool], Held] = {}

    def hold(self, requires: Sequence[Feature]) -> tuple[Held, ...]:
        """Hold all that a child requires, in the child's order."""
        held: list[Held] = []
        told: set[tuple[str, ...]] = set()
        for feature in requires:
            keys = _CODE_KEYS.get(feature.key)
            if keys is None:
                held.append(self._hold_single(feature))
            elif keys not in told:
                told.add(keys)
                code = tuple(other for other in requires if other.key in keys)
                held.append(self._hold_code(code, self._compiles_here(requires)))
        return tuple(held)

    def _of(self, key: str) -> tuple[str, ...]:
        if key not in self._values:
            self._values[key] = self._machine.values(key)
        return self._values[key]

    def _hold_single(self, feature: Feature) -> Held:
        held = self._single.get(feature)
        if held is None:
            held = Held((feature,), feature.key, self._match(feature))
            self._single[feature] = held
        return held

    def _match(self, feature: Feature) -> Match:
        """The closest match among the machine's values for a key; one must satisfy."""
        values, flags = self._of(feature.key), self._machine.cpu_flags
        if feature.key == CPU_FLAG and feature.value not in values:
            return match_flag(feature.value, host_flags(self._of("cpu"), flags))
        if not values:
            return Match(f"this host has no {feature.key}")
        by = self._machine.comparison(feature.key)
        matches = [match_value(feature.value, value, by, flags) for value in values]
        holding = [match for match in matches if match.holds]
        return min(holding, key=lambda match: match.distance or ()) if holding else matches[0]

    def _hold_code(self, code: tuple[Feature, ...], compiled: bool) -> Held:
        """Hold the alternatives of GPU code against every GPU that the image would see."""
        held = self._code.get((code, compiled))
        if held is None:
            held = self._judge_code(code, compiled)
            self._code[code, compiled] = held
        return held

    def _judge_code(self, code: tuple[Feature, ...], compiled: bool) -> Held:
        gpus = self._gpus(code[0].key)
        if not gpus:
            return Held(code, code[0].key, Match(f"this host has no {code[0].key}"))
        judged = [self._on_one(code, gpu, compiled) for gpu in gpus]
        failed = [held for held in judged if not held.match.holds]
        fitting = sorted((held for held in judged if held.match.holds), key=_distance)
        if failed and (self._machine.gpus is Gpus.EVERY or not fitting):
            return failed[0]
        # One image for all GPUs is as good as on the one that it fits worst.
        return fitting[-1] if self._machine.gpus is Gpus.EVERY else fitting[0]

    def _on_one(self, code: tuple[Feature, ...], gpu: Mapping[str, str], compiled: bool) -> Held:
        held = [self._one_on_one(feature, gpu, compiled) for feature in code]
        fitting = [one for one in held if one.match.holds]
        if fitting:
            return min(fitting, key=_distance)
        why = "; ".join(dict.fromkeys(one.match.why for one in held))
        return Held(code, code[0].key, Match(why))

    def _one_on_one(self, feature: Feature, gpu: Mapping[str, str], compiled: bool) -> Held:
        has = gpu.get(feature.key)
        if has is None:
            match = Match(f"this host has no {feature.key}")
        elif feature.key == "nvptx" and not compiled:
            match = Match("PTX of a later CUDA version than the driver compiles")
        else:
            match = match_value(feature.value, has, self._machine.comparison(feature.key))
        return Held((feature,), feature.key, match)

    def _gpus(self, key: str) -> list[Mapping[str, str]]:
        """Each GPU's values by key. One `nvptx` is all GPUs' limit, else each has its own."""
        if key == "gfx":
            return [{key: value} for value in self._of(key)]
        native, ptx = self._of("nvcap"), self._of("nvptx")
        if not native:
            return [{"nvptx": value} for value in ptx]
        limit = ptx[0] if len(ptx) == 1 else None
        return [{"nvcap": value, "nvptx": limit or value} for value in native]

    def _compiles_here(self, requires: Sequence[Feature]) -> bool:
        """False if PTX is of a CUDA that only minor-version compatibility would let run."""
        needed = [feature.value for feature in requires if feature.key == "cuda"]
        has = self._of("cuda")
        if not needed or not has or self._machine.comparison("cuda") is not Comparison.CUDA:
            return True
        return all(any(compiles(value, own) for own in has) for value in needed)


def _distance(held: Held) -> tuple[bool, tuple[int, ...]]:
    """Native code comes before what the driver has to compile."""
    return held.key == "nvptx", held.match.distance or ()
