import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.features import Comparison, Feature, InvalidFeature, match_value

words = st.text(st.characters(codec="ascii", exclude_characters=" ,:", categories=["L", "N"]))


@pytest.mark.parametrize(
    ("text", "feature"),
    [
        ("cpu:broadwell", Feature("cpu", "broadwell")),
        (" cpu:x86-64-v3 ", Feature("cpu", "x86_64_v3")),
        ("instType:c5", Feature("instType", "c5")),
        ("sse4", Feature("sse4")),
        ("mpi:host:openmpi", Feature("mpi", "host:openmpi")),
    ],
)
def test_parse(text: str, feature: Feature) -> None:
    assert Feature.parse(text) == feature


@pytest.mark.parametrize(
    "text", ["", " ", ":x", "cpu:", "a b", "a,b", "a\x1b[31m", "a\n", "a\u202eb", "x" * 257]
)
def test_what_is_no_feature(text: str) -> None:
    if text.strip() == "a":  # white space around is taken off
        assert Feature.parse(text) == Feature("a")
    else:
        with pytest.raises(InvalidFeature):
            Feature.parse(text)


@given(words.filter(bool), words)
def test_a_feature_reads_back_as_itself(key: str, value: str) -> None:
    feature = Feature.parse(f"{key}:{value}" if value else key)
    assert Feature.parse(str(feature)) == feature


@pytest.mark.parametrize(
    ("required", "has", "by", "holds"),
    [
        ("c5", "c5", Comparison.EXACT, True),
        ("c5", "c5n", Comparison.EXACT, False),
        ("", "", Comparison.EXACT, True),
        ("", "x", Comparison.EXACT, False),
        ("x", "", Comparison.EXACT, False),
        ("11.8", "12.2", Comparison.VERSION, True),
        ("12.2", "11.8", Comparison.VERSION, False),
        ("2.9", "2.36", Comparison.VERSION, True),
        ("5.15", "5.15.0-91-generic", Comparison.VERSION, True),
        ("5.15.0", "5.15", Comparison.VERSION, True),
        ("old", "old", Comparison.VERSION, True),
        ("old", "1", Comparison.VERSION, False),
        ("haswell", "broadwell", Comparison.CPU, True),
        ("sm_80", "8.6", Comparison.NVCAP, True),
        ("7.0", "8.6", Comparison.NVPTX, True),
    ],
)
def test_match_value(required: str, has: str, by: Comparison, holds: bool) -> None:
    assert match_value(required, has, by).holds is holds


versions = st.lists(st.integers(0, 99), min_size=1, max_size=4).map(tuple)


@given(versions, versions, versions)
def test_versions_are_ordered_and_the_higher_minimum_is_closer(
    low: tuple[int, ...], high: tuple[int, ...], host: tuple[int, ...]
) -> None:
    low, high, host = sorted(v + (0,) * (4 - len(v)) for v in (low, high, host))
    a, b, c = (".".join(map(str, version)) for version in (low, high, host))
    far = match_value(a, c, Comparison.VERSION).distance
    near = match_value(b, c, Comparison.VERSION).distance
    assert far is not None
    assert near is not None
    assert near <= far
    assert match_value(c, a, Comparison.VERSION).holds is (a == c)
