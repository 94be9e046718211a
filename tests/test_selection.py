from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.cuda import match_native
from metahub_addon.features import match_value
from metahub_addon.machine import MatchMode
from metahub_addon.media_types import OCI_INDEX
from metahub_addon.oci_platform import Platform
from metahub_addon.selection import behind, choose, judge
from support.descriptors import child, digest, family, index, machine


@pytest.mark.parametrize(
    ("host", "variants", "chosen"),
    [
        (["cpu:broadwell", "nvcap:5.2"], [[], ["cpu:broadwell"], ["cpu:haswell", "nvcap:5.2"]], 2),
        (["cpu:broadwell"], [[], ["cpu:broadwell"], ["cpu:skylake"]], 1),
        (["cpu:skylake"], [[], ["cpu:broadwell"], ["cpu:skylake"]], 2),
        (["cpu:coffeelake"], [[], ["cpu:broadwell"], ["cpu:skylake"]], 2),
        (["cpu:zen3"], [["cpu:v2"], ["cpu:v3"], ["cpu:zen"], ["cpu:zen2"], ["cpu:zen4"]], 3),
        ([], [[], ["cpu:x86_64_v2"]], 0),
        (["cpu:zen3"], [["cpu:zen4"]], None),
        (["nvcap:8.6"], [["nvcap:8.0"], ["nvcap:8.6"], ["nvcap:8.9"], ["nvptx:8.6"]], 1),
        (["nvcap:9.0"], [["nvcap:8.0"], ["nvptx:7.0"], ["nvptx:8.0"], []], 2),
        (["nvcap:7.0", "nvcap:8.0"], [[], ["nvcap:7.0"]], 0),  # every GPU counts
        (["nvcap:7.0", "nvcap:8.0"], [[], ["nvcap:7.0", "nvcap:8.0"]], 1),
        (["cuda:12.4"], [["cuda:11.8"], ["cuda:12.2"], ["cuda:12.6"]], 1),
        (["instType:c5"], [["instType:c5n"], []], 1),
        (["a", "b"], [["a"], ["a", "b"], ["a", "b", "c"]], 1),
        (["cpu:zen3", "mpi:x"], [["cpu:zen3"], ["mpi:x"]], 1),
        (["cpu:zen3"], [["cpu:zen2"], ["cpu:zen2"]], 0),
    ],
)
def test_choose(host: list[str], variants: list[list[str]], chosen: int | None) -> None:
    decision = choose(family(*variants), machine(*host))
    assert (decision.chosen and decision.chosen.digest) == (
        None if chosen is None else digest(chosen)
    )
    assert len(decision.verdicts) == len(variants)
    assert all(verdict.reasons for verdict in decision.verdicts)
    assert decision.reason


def test_it_says_why() -> None:
    image = family([], ["cpu:broadwell"], ["cpu:haswell", "nvcap:5.2"], ["cpu:zen3", "x"])
    decision = choose(image, machine("cpu:broadwell", "nvcap:5.2"))
    assert decision.reason == "cpu:haswell, nvcap:5.2: best of 3 that fit, decided by nvcap"
    assert [verdict.reasons for verdict in decision.verdicts] == [
        ("generic: requires no feature",),
        ("cpu:broadwell: built for this host's broadwell",),
        (
            "cpu:haswell: broadwell runs what was built for haswell",
            "nvcap:5.2: this GPU (5.2) runs 5.2",
        ),
        (
            "cpu:zen3: built for zen3: needs clwb, vaes, sse4a, clzero and 5 more, "
            "this host (broadwell) lacks them",
            "x: this host has no x",
        ),
    ]
    assert behind(decision, decision.verdicts[0]) == "behind in nvcap"


def test_it_says_why_of_one_and_of_equals() -> None:
    assert choose(family(["a"]), machine("a")).reason == "a: the only one that fits"
    decision = choose(family([], []), machine())
    assert decision.reason == "generic: first in the index among equals"
    assert behind(decision, decision.verdicts[1]) == "behind in the index's order"


def test_nothing_fits_names_the_machine_and_a_bounded_offer() -> None:
    decision = choose(family(*([f"k:{at}"] for at in range(10))), machine())
    assert decision.chosen is None
    assert decision.reason.startswith("nothing fits machine type host; the image offers linux/amd")
    assert decision.reason.endswith("[k:7] and 2 more")
    assert "offers nothing" in choose(index(), machine()).reason


def test_prefer_changes_what_decides() -> None:
    image = family(["cpu:zen3"], ["nvcap:8.0"])
    host = machine("cpu:zen3", "nvcap:8.0")
    assert choose(image, host).chosen == image.children[1]
    assert choose(image, replace(host, prefer=("cpu",))).chosen == image.children[0]


@pytest.mark.parametrize(
    ("variants", "chosen"),
    [
        ([[], ["cpu:haswell", "nvcap:5.2"], ["nvcap:5.2", "cpu:broadwell"]], 2),
        ([[], ["cpu:broadwell"], ["cpu:broadwell", "nvcap:5.2", "x"]], None),
        ([["cpu:broadwell", "nvcap:5.2"], ["cpu:broadwell", "nvcap:5.2"]], 0),
    ],
)
def test_exact_wants_equal_sets(variants: list[list[str]], chosen: int | None) -> None:
    host = machine("cpu:broadwell", "nvcap:5.2", match=MatchMode.EXACT)
    found = choose(family(*variants), host).chosen
    assert (found and found.digest) == (None if chosen is None else digest(chosen))


def test_what_is_no_candidate() -> None:
    host = machine("cpu:zen3")
    others = (
        child(1, artifact=True),
        child(2, platform=None),
        child(3, platform=Platform("linux", "arm64")),
        child(4, media_type=OCI_INDEX),
        child(5, media_type="application/vnd.docker.distribution.manifest.v1+json"),
    )
    assert [judge(other, host).fits for other in others] == [False] * 5
    assert not choose(index(others[0], others[1]), host).has_platforms
    assert choose(index(others[2]), host).has_platforms


def test_the_native_architecture_comes_first() -> None:
    image = index(child(1, "a", platform=Platform("linux", "386")), child(2))
    decision = choose(image, machine("a"))
    assert decision.chosen == image.children[1]
    assert decision.reason.endswith("decided by platform")


def test_what_is_nested_needs_what_the_nest_needs() -> None:
    inner = index(child(1, "a", platform=None), child(2, "b"))
    nest = child(9, "n", media_type=OCI_INDEX, nested=inner)
    image = index(child(3), nest)
    with_nest = choose(image, machine("a", "n")).chosen
    assert with_nest
    assert with_nest.digest == digest(1)
    assert with_nest.platform == Platform("linux", "amd64")
    assert choose(image, machine("a", "b")).chosen == child(3)


def test_what_is_missing_upstream_is_left_out() -> None:
    image = family([], ["a"])
    assert choose(image, machine("a"), frozenset({digest(1)})).chosen == image.children[0]


features = st.sampled_from(
    ["cpu:zen2", "cpu:zen3", "cpu:v3", "nvcap:8.0", "nvcap:8.6", "nvptx:7.0", "cuda:12.1", "x"]
)
variants = st.lists(st.lists(features, max_size=3, unique=True), max_size=6)
hosts = st.lists(features, max_size=5, unique=True)


@given(variants, hosts)
def test_what_is_chosen_runs(offered: list[list[str]], host: list[str]) -> None:
    kind = machine(*host)
    chosen = choose(family(*offered), kind).chosen
    assert (chosen is None) is not any(judge(c, kind).fits for c in family(*offered).children)
    for need in chosen.requires if chosen else ():
        by = kind.comparison(need.key)
        fits = [match_value(need.value, has, by).holds for has in kind.values(need.key)]
        assert any(fits) or need.key == "nvcap"
    code = [need.value for need in chosen.requires if need.key == "nvcap"] if chosen else []
    ptx = any(need.key == "nvptx" for need in chosen.requires) if chosen else False
    for gpu in kind.values("nvcap") if code else ():
        assert ptx or any(match_native(need, gpu).holds for need in code)


@given(variants, hosts, st.randoms())
def test_order_only_decides_among_equals(
    offered: list[list[str]], host: list[str], random: Random
) -> None:
    image, kind = family(*offered), machine(*host)
    first, again = choose(image, kind), choose(image, kind)
    assert first == again
    shuffled = list(image.children)
    random.shuffle(shuffled)
    other = choose(index(*shuffled), kind).chosen
    ranks = [judge(found, kind).rank for found in (first.chosen, other) if found]
    assert len(ranks) in (0, 2)
    assert len(set(ranks)) <= 1
