from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.connection_bound import IDLE_BEATS, SILENT_BEATS, ConnectionBound


def filled(most: int, *connections: str) -> ConnectionBound:
    """`a1` is a connection from place a."""
    bound = ConnectionBound(most)
    for connection in connections:
        assert bound.came(connection, connection[0]) is None
    return bound


def beats(bound: ConnectionBound, count: int) -> list[list[str]]:
    return [bound.beat() for _ in range(count)]


def test_the_oldest_of_the_place_with_the_most_goes() -> None:
    bound = filled(5, "b1", "a1", "a2", "a3", "c1")
    assert bound.came("d1", "d") == "a1"
    assert bound.came("a4", "a") == "a2"
    assert len(bound) == 5


def test_a_fleet_of_one_place_may_have_all() -> None:
    filled(5, "a1", "a2", "a3", "a4", "a5")


def test_who_has_logged_in_stays() -> None:
    bound = filled(3, "a1", "a2", "b1")
    for connection in ("a1", "a2", "gone"):
        bound.known(connection)
    assert bound.came("c1", "c") == "b1"
    bound.known("c1")
    assert bound.came("d1", "d") == "d1", "there is nobody else to go"
    assert len(bound) == 3
    bound.left("a1")
    assert bound.came("d2", "d") is None
    assert beats(bound, SILENT_BEATS)[-1] == ["d2"]
    assert not any(beats(bound, 100))


def test_silent_strangers() -> None:
    bound = filled(9, "a1", "b1", "c1")
    assert beats(bound, SILENT_BEATS - 1) == [[]] * (SILENT_BEATS - 1)
    bound.heard("b1")
    bound.heard("c1", IDLE_BEATS)
    bound.heard("gone")
    assert bound.beat() == ["a1"]
    assert [one for one in beats(bound, SILENT_BEATS) if one] == [["b1"]]
    assert [one for one in beats(bound, IDLE_BEATS) if one] == [["c1"]]
    assert len(bound) == 0


def test_none_at_all() -> None:
    assert ConnectionBound(0).came("a1", "a") == "a1"


steps = st.lists(
    st.tuples(st.sampled_from(["came", "known", "left", "heard", "beat"]), st.integers(0, 12))
)


@given(steps)
def test_what_is_counted_is_what_is_open(made: Iterable[tuple[str, int]]) -> None:
    bound, is_open, is_known = ConnectionBound(5), set[str](), set[str]()
    for step, number in made:
        name, place = str(number), str(number % 3)
        gone: list[str] = []
        if step == "came" and name not in is_open:
            is_open.add(name)
            dropped = bound.came(name, place)
            gone = [dropped] if dropped else []
        elif step == "known":
            bound.known(name)
            is_known |= {name} & is_open
        elif step == "left":
            bound.left(name)
            is_open.discard(name)
            is_known.discard(name)
        elif step == "heard":
            bound.heard(name)
        elif step == "beat":
            gone = bound.beat()
        assert not set(gone) & is_known
        is_open -= set(gone)
        assert len(bound) == len(is_open) <= 5
