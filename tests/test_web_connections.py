import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.web_connections import Connections
from support.fake_timer import FakeTimer


def filled(*peers: str, most: int = 0) -> Connections[int]:
    """Connections 0, 1, … of these peers, a second apart."""
    made = Connections[int](most or len(peers), FakeTimer(look=1))
    for number, peer in enumerate(peers):
        assert made.add(number, peer) is None
    return made


@pytest.mark.parametrize(
    ("peers", "gone"),
    [
        ("aaa", 0),
        ("abc", 0),
        ("abb", 1),  # who has the most
        ("abab", 0),
        ("abbba", 1),
    ],
)
def test_who_has_the_most_gives_up_what_has_waited_longest(peers: str, gone: int) -> None:
    assert filled(*peers).add(99, "new") == gone


def test_what_is_answered_goes_last() -> None:
    open_ones = filled("a", "a", "b")
    open_ones.note(0, is_answered=True)
    open_ones.note(1, is_answered=True)
    assert open_ones.add(3, "c") == 2
    open_ones.note(3, is_answered=True)
    assert open_ones.add(4, "a") == 0
    open_ones.note(4, is_answered=True)
    assert open_ones.add(5, "a") == 1


def test_waiting_begins_anew_with_each_answer() -> None:
    open_ones = filled("a", "b")
    open_ones.note(0, is_answered=True)
    open_ones.note(0, is_answered=False)
    assert open_ones.add(2, "c") == 1


def test_what_is_closed_makes_room() -> None:
    open_ones = filled("a", "b")
    open_ones.remove(0)
    assert open_ones.add(2, "c") is None
    assert open_ones.add(3, "d") == 1
    open_ones.remove(1)  # closed at last
    open_ones.note(1, is_answered=True)
    assert open_ones.add(4, "d") == 2


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 5))
def test_one_that_comes_is_never_kept_out(peers: list[str], most: int) -> None:
    made = Connections[int](most, FakeTimer(look=1))
    open_ones: set[int] = set()
    for number, peer in enumerate(peers):
        gone = made.add(number, peer)
        assert (gone is None) == (len(open_ones) < most)
        open_ones = {*open_ones, number} - {gone}
        assert len(open_ones) <= most
