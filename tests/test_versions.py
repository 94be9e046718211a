import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.versions import match_exact, match_version


@pytest.mark.parametrize(
    ("required", "has", "holds"),
    [
        ("11.8", "12.2", True),
        ("12.2", "11.8", False),
        ("2.9", "2.36", True),
        ("5.15", "5.15.0-91-generic", True),
        ("5.15.0", "5.15", True),
        ("old", "old", True),
        ("old", "1", False),
    ],
)
def test_versions(required: str, has: str, holds: bool) -> None:
    assert match_version(required, has).holds is holds


def test_a_bare_flag() -> None:
    assert match_exact("", "").holds
    assert match_exact("x", "").why == "needs x, this host has the flag alone"
    assert match_exact("", "x").why == "needs the flag, this host has x"


versions = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(tuple)


@given(versions, versions, versions)
def test_versions_are_ordered_and_the_higher_minimum_is_closer(
    low: tuple[int, ...], high: tuple[int, ...], host: tuple[int, ...]
) -> None:
    low, high, host = sorted(v + (0,) * (4 - len(v)) for v in (low, high, host))
    a, b, c = (".".join(map(str, version)) for version in (low, high, host))
    far = match_version(a, c).distance
    near = match_version(b, c).distance
    assert far is not None
    assert near is not None
    assert near <= far
    assert match_version(c, a).holds is (a == c)
