"""Index and machine type → Decision: which child fits this host best, and why.

A total order: the same index and machine type always give the same child.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from metahub_addon.features import Feature
from metahub_addon.index import Child, Index
from metahub_addon.machine import MachineType, MatchMode
from metahub_addon.oci_platform import Platform, distance
from metahub_addon.requirements import Held, Requirements

Rank = tuple[tuple[int, ...], ...]

_MAX_OFFERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether one child fits a machine type, and why (a sentence for each reason).

    `rank` orders children that fit, the smallest is the best; None for the others.
    """

    child: Child
    reasons: tuple[str, ...]
    rank: Rank | None = None

    @property
    def fits(self) -> bool:
        """True if the child runs on the machine."""
        return self.rank is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdicts in the index's order, the chosen child (None: nothing fits), and why.

    `has_platforms` is false for an index that offers no image for any platform (the
    referrers fall-back tag, a collection of artifacts): not ours to choose from.
    """

    machine: MachineType
    verdicts: tuple[Verdict, ...]
    chosen: Child | None
    reason: str
    has_platforms: bool


def choose(
    index: Index,
    machine: MachineType,
    absent: frozenset[str] = frozenset(),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Decision:
    """Judge every child of an index and choose the one that fits a machine type best.

    `absent` holds digests known to be missing upstream, `refused` others that must not be
    taken, with the reason. Children of nested indexes
    count where those have been opened; they need what the nested index needs, too.
    """
    out = {**dict.fromkeys(absent, "is missing in the registry"), **refused}
    requirements, ranking = Requirements(machine), machine.ranking
    verdicts = tuple(
        Verdict(child=child, reasons=(out[child.digest],))
        if child.digest in out
        else _judge(child, machine, requirements, ranking)
        for child in _leaves(index, None, ())
    )
    fitting = sorted(
        ((verdict.rank, at) for at, verdict in enumerate(verdicts) if verdict.rank is not None),
    )
    has_platforms = any(
        verdict.child.is_manifest and verdict.child.platform for verdict in verdicts
    )
    if not fitting:
        chosen, reason = None, f"nothing fits machine type {machine.name}; {_offers(verdicts)}"
    else:
        best = verdicts[fitting[0][1]]
        chosen, reason = best.child, _why_best(verdicts, [at for _, at in fitting], machine)
    return Decision(
        machine=machine,
        verdicts=verdicts,
        chosen=chosen,
        reason=reason,
        has_platforms=has_platforms,
    )


def behind(decision: Decision, verdict: Verdict) -> str:
    """In what a child that fits comes behind the chosen one."""
    best = next(other for other in decision.verdicts if other.child is decision.chosen)
    criterion = _first_difference(best, verdict, decision.machine)
    return f"behind in {criterion}" if criterion else "behind in the index's order"


def judge(child: Child, machine: MachineType) -> Verdict:
    """Hold one child against a machine type."""
    return _judge(child, machine, Requirements(machine), machine.ranking)


def _judge(
    child: Child, machine: MachineType, requirements: Requirements, ranking: Sequence[str]
) -> Verdict:
    if child.is_index:
        return Verdict(child=child, reasons=("is a nested index that was not opened",))
    if not child.is_manifest:
        return Verdict(child=child, reasons=("is no image (attestation or artifact)",))
    if child.platform is None:
        return Verdict(child=child, reasons=("names no platform",))
    away = distance(child.platform, machine.platform)
    if away is None:
        return Verdict(
            child=child, reasons=(f"{child.platform} does not run on {machine.platform}",)
        )
    if machine.match is MatchMode.EXACT:
        return _judge_exact(child, machine, away)
    held = requirements.hold(child.requires)
    failed = tuple(one.reason for one in held if not one.match.holds)
    if failed:
        return Verdict(child=child, reasons=failed)
    return Verdict(
        child=child,
        reasons=tuple(one.reason for one in held) or ("generic: requires no feature",),
        rank=_rank(held, len(child.requires), ranking, away),
    )


def _judge_exact(child: Child, machine: MachineType, away: int) -> Verdict:
    wanted, has = set(child.requires), set(machine.features)
    if wanted == has:
        return Verdict(child=child, reasons=("equal features",), rank=((away,),))
    lacking = ", ".join(sorted(map(str, wanted - has)))
    surplus = ", ".join(sorted(map(str, has - wanted)))
    reasons = [f"needs {lacking}, which this machine type has not"] if lacking else []
    reasons += [f"lacks {surplus}, which this machine type has"] if surplus else []
    return Verdict(child=child, reasons=tuple(reasons))


def _rank(held: Sequence[Held], count: int, ranking: Sequence[str], away: int) -> Rank:
    """Platform first, then key by key (having a key beats lacking it), then more features."""
    closest: dict[str, tuple[int, ...]] = {}
    for one in held:
        found = one.match.distance or ()
        closest[one.key] = min(found, closest.get(one.key, found))
    by_key = ((0, *closest[key]) if key in closest else (1,) for key in ranking)
    return ((away,), *by_key, (-count,))


def _why_best(verdicts: tuple[Verdict, ...], order: list[int], machine: MachineType) -> str:
    best = verdicts[order[0]]
    needs = ", ".join(map(str, best.child.requires)) or "generic"
    if len(order) == 1:
        return f"{needs}: the only one that fits"
    decided_by = _first_difference(best, verdicts[order[1]], machine)
    if not decided_by:
        return f"{needs}: first in the index among equals"
    return f"{needs}: best of {len(order)} that fit, decided by {decided_by}"


def _first_difference(one: Verdict, other: Verdict, machine: MachineType) -> str:
    """The criterion that ranks two children that fit; empty for equals."""
    criteria = ("platform", *machine.ranking, "the number of features")
    ranks = zip(criteria, one.rank or (), other.rank or (), strict=False)
    return next((name for name, a, b in ranks if a != b), "")


def _leaves(
    index: Index, platform: Platform | None, requires: tuple[Feature, ...]
) -> Iterator[Child]:
    for child in index.children:
        merged = child
        if requires or (platform and not child.platform):
            merged = replace(
                child,
                platform=child.platform or platform,
                requires=tuple(dict.fromkeys((*requires, *child.requires))),
            )
        if child.nested is None:
            yield merged
        else:
            yield from _leaves(child.nested, merged.platform, merged.requires)


def _offers(verdicts: tuple[Verdict, ...]) -> str:
    """What the image offers, in a length that a runtime's error message can bear."""
    children = [verdict.child for verdict in verdicts if verdict.child.is_manifest]
    offers = list(dict.fromkeys(_offer(child) for child in children))
    more = len(offers) - _MAX_OFFERS
    listed = ", ".join(offers[:_MAX_OFFERS]) or "nothing"
    return f"the image offers {listed}" + (f" and {more} more" if more > 0 else "")


def _offer(child: Child) -> str:
    needs = ", ".join(map(str, child.requires)) or "generic"
    return f"{child.platform or 'no platform'} [{needs}]"
