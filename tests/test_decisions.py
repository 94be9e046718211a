from dataclasses import replace

import pytest

from metahub_addon.decisions import Decisions, Question
from metahub_addon.selection import Decision, choose
from support.descriptors import digest, family, machine

HOST = machine("cpu:zen3")
QUESTION = Question(("https", "reg.test", "a/b"), digest(1), "application/x", frozenset())
DECISION = choose(family([], ["cpu:zen3"]), HOST)


def large(children: int) -> Decision:
    """A decision about many children."""
    return replace(DECISION, verdicts=DECISION.verdicts[:1] * children)


def test_a_decision_is_kept() -> None:
    decisions = Decisions()
    assert decisions.get(QUESTION, HOST) is None
    decisions.put(QUESTION, HOST, DECISION)
    assert decisions.get(QUESTION, HOST) is DECISION


@pytest.mark.parametrize(
    "other",
    [
        replace(QUESTION, repository=("https", "reg.test", "a/c")),
        replace(QUESTION, digest=digest(2)),
        replace(QUESTION, media_type="application/y"),
        replace(QUESTION, absent=frozenset({digest(3)})),
    ],
)
def test_another_question_has_another_answer(other: Question) -> None:
    decisions = Decisions()
    decisions.put(QUESTION, HOST, DECISION)
    assert decisions.get(other, HOST) is None


def test_a_new_machine_type_makes_all_decisions_void() -> None:
    """Also one that reads the same: a profile that was read anew."""
    decisions = Decisions()
    decisions.put(QUESTION, HOST, DECISION)
    anew = machine("cpu:zen3")
    assert decisions.get(QUESTION, anew) is None
    decisions.put(replace(QUESTION, digest=digest(2)), anew, DECISION)
    assert decisions.get(QUESTION, anew) is None
    assert decisions.get(QUESTION, HOST) is None


def test_what_is_kept_is_bounded_by_children() -> None:
    decisions = Decisions()
    questions = [replace(QUESTION, digest=digest(number)) for number in range(3)]
    for question in questions:
        decisions.put(question, HOST, large(1_900))
    kept = [decisions.get(question, HOST) is not None for question in questions]
    assert kept == [False, True, True]


def test_what_is_too_large_is_not_kept() -> None:
    decisions = Decisions()
    decisions.put(QUESTION, HOST, DECISION)
    decisions.put(replace(QUESTION, digest=digest(2)), HOST, large(4_000))
    assert decisions.get(replace(QUESTION, digest=digest(2)), HOST) is None
    assert decisions.get(QUESTION, HOST) is DECISION
