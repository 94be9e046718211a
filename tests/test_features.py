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
        ("rocm:gfx90a", Feature("gfx", "gfx90a")),
        ("rocm:6.2", Feature("rocm", "6.2")),
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
        ("12.4", "12.2", Comparison.CUDA, True),
        ("gfx90a", "gfx90a", Comparison.GFX, True),
    ],
)
def test_match_value(required: str, has: str, by: Comparison, holds: bool) -> None:
    assert match_value(required, has, by).holds is holds


def test_the_hosts_flags_count_for_the_cpu() -> None:
    assert match_value("haswell", "zen3", Comparison.CPU).holds
    assert not match_value("haswell", "zen3", Comparison.CPU, frozenset({"avx"})).holds
