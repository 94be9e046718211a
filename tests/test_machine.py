from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.features import Comparison, Feature
from metahub_addon.machine import (
    InvalidProfile,
    MachineType,
    MatchMode,
    Otherwise,
    parse_profile,
)
from metahub_addon.oci_platform import Platform
from support.descriptors import machine

PROFILES = sorted((Path(__file__).parent.parent / "profiles").glob("*.yaml"))
HERE = Platform("linux", "riscv64")


def parse(text: str) -> MachineType:
    return parse_profile(text, "p.yaml", lambda: HERE)


def test_a_whole_profile() -> None:
    parsed = parse(
        "machine_type: type4\nplatform: linux/amd64\nfeatures: [cpu:broadwell, 'nvcap:5.2']\n"
        "prefer: [nvcap, cpu]\ncompare: {mpi: version}\nmatch: exact\notherwise: error\n"
    )
    assert parsed == MachineType(
        name="type4",
        platform=Platform("linux", "amd64"),
        features=(Feature("cpu", "broadwell"), Feature("nvcap", "5.2")),
        prefer=("nvcap", "cpu"),
        compare={"mpi": Comparison.VERSION},
        match=MatchMode.EXACT,
        otherwise=Otherwise.ERROR,
    )


def test_a_file_of_metahub_and_the_defaults() -> None:
    parsed = parse("name: type1\nfeatures:\n  - cpu:broadwell\n")
    assert parsed.name == "type1"
    assert parsed.platform == HERE
    assert parsed.match is MatchMode.COMPATIBLE
    assert parsed.otherwise is Otherwise.INDEX
    assert parsed.ranking[:3] == ("nvcap", "nvptx", "rocm")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("features: []", "p.yaml:1: profile: machine_type is missing"),
        ("machine_type: a\nname: b", "p.yaml:2: name: stands beside machine_type"),
        ("machine_type: a\nfeaturs: []", "p.yaml:2: featurs: unknown key, known are machine_type"),
        ("machine_type: 4", "p.yaml:1: machine_type: is '4', not a string"),
        ("machine_type: 'a b'", "p.yaml:1: machine_type: 'a b' is no name"),
        ("name: a\nname: b", "p.yaml:2: name: is given twice"),
        ("name: a\nplatform: linux", "p.yaml:2: platform: 'linux' is not"),
        ("name: a\nfeatures: cpu:x", "p.yaml:2: features: is not a list"),
        ("name: a\nfeatures:\n- cpu: x", "p.yaml:3: features[0]: is a mapping"),
        ("name: a\nfeatures:\n- x\n- 'a b'", "p.yaml:4: features[1]: 'a b' holds a space"),
        ("name: a\nfeatures: [cpu:v3, cpu:x86-64-v3]", "p.yaml:2: features[1]: cpu:x86_64_v3 is"),
        ("name: a\nprefer: [cpu, cpu]", "p.yaml:2: prefer[1]: cpu is given twice"),
        ("name: a\ncompare: {mpi: newer}", "p.yaml:2: compare.mpi: 'newer' is unknown, known are"),
        ("name: a\nmatch: loose", "p.yaml:2: match: 'loose' is unknown, known are compatible"),
        ("name: a\notherwise: [x]", "p.yaml:2: otherwise: is a list, not a string"),
    ],
)
def test_errors_name_file_line_and_key(text: str, says: str) -> None:
    with pytest.raises(InvalidProfile) as caught:
        parse(text)
    assert str(caught.value).startswith(says)


def test_values() -> None:
    host = machine("nvcap:7.0", "nvcap:8.0", "cpu:zen2", platform=Platform("linux", "amd64", "v3"))
    assert host.values("nvcap") == ("7.0", "8.0")
    assert host.values("nvptx") == ("7.0", "8.0")
    assert host.values("cpu") == ("zen2", "x86_64_v3")
    assert host.values("mpi") == ()
    assert machine("nvptx:6.0", "nvcap:7.0").values("nvptx") == ("6.0",)


def test_comparisons() -> None:
    host = machine(compare={"mpi": Comparison.VERSION, "cuda": Comparison.EXACT})
    assert host.comparison("mpi") is Comparison.VERSION
    assert host.comparison("cuda") is Comparison.EXACT
    assert host.comparison("cpu") is Comparison.CPU
    assert host.comparison("anything") is Comparison.EXACT


def test_the_ranking_starts_with_what_the_profile_prefers() -> None:
    ranking = machine(prefer=("mpi", "license")).ranking
    assert ranking[:3] == ("mpi", "license", "nvcap")
    assert len(set(ranking)) == len(ranking)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles(path: Path) -> None:
    assert parse_profile(path.read_text(), str(path), lambda: HERE).name == path.stem


def test_profiles_are_shipped() -> None:
    assert {"type1", "type2", "type3", "type4"} <= {path.stem for path in PROFILES}


@given(st.text())
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidProfile, match=r"^p\.yaml:"):
        parse(f"features: []\n{text}")
