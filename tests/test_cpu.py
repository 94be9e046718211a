import pytest
from archspec.cpu import TARGETS
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.cpu import lineage, match_cpu, normalise

names = st.sampled_from(sorted({*TARGETS, "coffeelake", "unheard-of"}))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x86-64-v3", "x86_64_v3"),
        ("x86_64_v3", "x86_64_v3"),
        ("v3", "x86_64_v3"),
        ("v1", "x86_64"),
        ("x86-64-v1", "x86_64"),
        ("amd64", "x86_64"),
        (" Skylake-AVX512 ", "skylake_avx512"),
        ("arm64", "aarch64"),
    ],
)
def test_normalise(text: str, name: str) -> None:
    assert normalise(text) == name


@pytest.mark.parametrize(
    ("target", "host", "runs"),
    [
        ("broadwell", "broadwell", True),
        ("haswell", "broadwell", True),
        ("x86-64-v3", "broadwell", True),
        ("skylake", "broadwell", False),
        ("x86_64_v4", "skylake", False),
        ("skylake_avx512", "skylake", False),
        ("skylake", "cascadelake", True),
        ("zen2", "zen3", True),
        ("zen3", "zen2", False),
        ("skylake", "coffeelake", True),
        ("coffeelake", "coffeelake", True),
        ("coffeelake", "skylake", False),
        ("broadwell", "aarch64", False),
        ("neoverse_n1", "neoverse_v1", True),
        ("unheard-of", "unheard_of", True),
        ("unheard-of", "zen5", False),
        ("x86_64", "unheard-of", False),
    ],
)
def test_match_cpu(target: str, host: str, runs: bool) -> None:
    assert match_cpu(target, host).holds is runs


@given(names)
def test_a_host_runs_its_own_and_nothing_is_closer(name: str) -> None:
    assert match_cpu(name, name).distance == (0,)
    others = (match_cpu(other, name).distance for other in lineage(name) - {normalise(name)})
    assert all(distance is not None and distance > (0,) for distance in others)


@given(names, names, names)
def test_what_runs_is_transitive_and_nearer_ancestors_are_closer(a: str, b: str, c: str) -> None:
    if match_cpu(a, b).holds and match_cpu(b, c).holds:
        far, near = match_cpu(a, c).distance, match_cpu(b, c).distance
        assert far is not None
        assert near is not None
        assert near <= far
