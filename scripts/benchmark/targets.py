"""What was promised, judged by what was measured: met, not met, or not measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Results = Mapping[str, Any]
# What ten clients at once have under way, and a heap that is full of holes: measured as 4 to
# 18 MiB, whatever the cache's bound. What it reaches in the first half it may not exceed later.
WORKING_MIB = 24.0
_NOISE_MIB = 4.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """A target, what was measured, and whether that meets it; None: not measured."""

    target: str
    measured: str
    met: bool | None


def judge(results: Results) -> list[Judgement]:
    """All targets, in the order in which they matter."""
    return [_judged(target, results) for target in TARGETS]


def _judged(target: "Target", results: Results) -> Judgement:
    part = results.get(target.part)
    if part is None or "skip" in part or "failed" in part:
        return Judgement(target.text, "not measured", None)
    measured, met = target.judge(part)
    return Judgement(target.text, measured, met)


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about a part of the results."""

    text: str
    part: str
    judge: Callable[[Results], tuple[str, bool]]


def _speed(layers: Results) -> tuple[str, bool]:
    share = layers["bypass"]["of direct"]
    return f"{share:.3f}", share >= 0.95


def _price(layers: Results) -> tuple[str, bool]:
    paid = layers["bypass"]["CPU s/GiB"]
    return f"{paid:.2f} s", paid < 0.1


def _ahead(layers: Results) -> tuple[str, bool]:
    others = {key: layers[key]["of direct"] for key in ("nginx", "cache-cold", "cache-warm")}
    ours = layers["bypass"]["of direct"]
    said = ", ".join(f"{key} {share:.2f}" for key, share in others.items())
    return f"{ours:.2f}; {said}", all(ours > share for share in others.values())


def _pull(pull: Results) -> tuple[str, bool]:
    return _near_direct(pull["routes"]["bypass"]["of direct"])


def _private_pull(pull: Results) -> tuple[str, bool]:
    return _near_direct(pull["routes"]["private relay"]["of direct"])


def _near_direct(share: float) -> tuple[str, bool]:
    return f"{(share - 1) * 100:+.1f} %", share <= 1.05


def _latency(case: str) -> Callable[[Results], tuple[str, bool]]:
    def judge_case(manifests: Results) -> tuple[str, bool]:
        added = manifests["cases"][case]["added p99 ms"]
        return f"{added:.1f} ms", added < 10

    return judge_case


def _memory(memory: Results) -> tuple[str, bool]:
    """Growth beyond the cache from the first sample; and any in the second half of the run."""
    sizes = [sample["MiB"] for sample in memory["samples"]]
    growth, late = sizes[-1] - sizes[0], sizes[-1] - sizes[len(sizes) // 2]
    said = f"{growth:+.1f} MiB, the cache's {memory['cache MiB']}; {late:+.1f} in the second half"
    return said, growth <= memory["cache MiB"] + WORKING_MIB and late <= _NOISE_MIB


def _choose(choose: Results) -> tuple[str, bool]:
    said, met = [], True
    for work in ("parse", "choose"):
        row = choose[work]
        said.append(f"{work} {row['median ms']:.1f} of {row['target ms']:g} ms")
        met &= row["median ms"] <= row["target ms"]
    return ", ".join(said), met


TARGETS = (
    Target("a large layer, bypassed: at least 0.95 of direct", "layers", _speed),
    Target("… for less than 0.1 CPU seconds a GiB in mitmdump", "layers", _price),
    Target("… ahead of nginx and of the pull-through cache", "layers", _ahead),
    Target("a whole docker pull: within 5 % of direct", "pull", _pull),
    Target("… by one who has logged in", "pull", _private_pull),
    Target(
        "a warm manifest request, 50 clients, each once a second: p99 adds less than 10 ms",
        "manifests",
        _latency("warm, 50 clients, kept, each once a second"),
    ),
    Target(
        "… with a new connection a request",
        "manifests",
        _latency("warm, 50 clients, new, each once a second"),
    ),
    Target(
        "… 50 clients that ask as fast as answers come",
        "manifests",
        _latency("warm, 50 clients, kept"),
    ),
    Target(
        "… those with a new connection a request",
        "manifests",
        _latency("warm, 50 clients, new"),
    ),
    Target(
        "memory: flat, no growth beyond the cache's bound and 24 MiB under way", "memory", _memory
    ),
    Target("parsing and choosing among many children", "choose", _choose),
)
