from dataclasses import replace
from datetime import UTC, datetime, timedelta

from metahub_addon.recent import Made, Recent
from metahub_addon.selection import Decision, choose
from support.descriptors import family, machine

START = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A minute passes with each look."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now


def decided(*features: str, offered: tuple[str, ...] = ("cpu:zen3",)) -> Decision:
    return choose(family(list(offered)), machine(*features))


def large(children: int) -> Decision:
    return choose(family(*([f"x:{at}"] for at in range(children))), machine("x:1"))


def test_decisions_the_newest_first() -> None:
    recent = Recent(Clock())
    for at in range(3):
        recent.note("qnib", "a/b", f"a/b:{at}", decided("cpu:zen3"))
    assert [made.image for made in recent.decisions] == ["a/b:2", "a/b:1", "a/b:0"]
    assert recent.decisions[-1] == Made(
        when=START + timedelta(minutes=1),
        account="qnib",
        repository="a/b",
        image="a/b:0",
        decision=decided("cpu:zen3"),
    )
    assert recent.gaps == []


def test_where_nothing_fits_there_is_a_gap() -> None:
    recent = Recent(Clock())
    recent.note("qnib", "a/b", "a/b:1", decided("cpu:zen2", "x:y"))
    recent.note("qnib", "a/b", "a/b:2", decided())
    assert [(gap.image, gap.machine, gap.wanted) for gap in recent.gaps] == [
        ("a/b:2", "host", "generic"),
        ("a/b:1", "host", "cpu:zen2, x:y"),
    ]
    assert len(recent.decisions) == 2


def test_gaps_are_counted_and_the_last_seen_is_first() -> None:
    recent = Recent(Clock())
    for image in ("a:1", "a:2", "a:1"):
        recent.miss("a", image, "type1")
    recent.miss("a", "a:1", "type2")
    first, second, third = recent.gaps
    assert (first.image, first.machine, first.count) == ("a:1", "type2", 1)
    assert (second.image, second.machine, second.count) == ("a:1", "type1", 2)
    assert (second.repository, second.wanted) == ("a", "")
    assert second.last - second.first == timedelta(minutes=2)
    assert third == replace(second, image="a:2", count=1, first=third.last, last=third.last)


def test_the_oldest_is_forgotten() -> None:
    recent = Recent(Clock())
    for at in range(1100):
        recent.note("qnib", "a", f"a:{at}", decided("cpu:zen2"))
    assert [made.image for made in recent.decisions] == [f"a:{at}" for at in range(1099, 899, -1)]
    assert len(recent.gaps) == 1000
    assert recent.gaps[-1].image == "a:100"


def test_times_are_in_utc() -> None:
    recent = Recent()
    recent.miss("a", "a:1", "type1")
    assert recent.gaps[0].first.tzinfo is UTC


def test_decisions_on_large_indexes_are_kept_shorter() -> None:
    recent = Recent()
    decision = large(4000)
    for at in range(200):
        recent.note("qnib", "a/b", f"a/b:{at}", decision)
    assert [made.image for made in recent.decisions] == ["a/b:199", "a/b:198"]
    for at in range(300):
        recent.note("qnib", "a/b", f"a/b:{at}", decided("cpu:zen3"))
    assert len(recent.decisions) == 200


def test_one_decision_is_always_kept() -> None:
    recent = Recent()
    recent.note("qnib", "a/b", "a/b:1", large(12_000))
    assert len(recent.decisions) == 1
