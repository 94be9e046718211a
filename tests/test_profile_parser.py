from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.features import Comparison, Feature
from metahub_addon.machine import Gpus, MachineType, MatchMode, Otherwise
from metahub_addon.oci_platform import Platform
from metahub_addon.profile_parser import (
    InvalidProfile,
    Profile,
    Wanted,
    parse_machine,
    parse_profile,
)
from metahub_addon.strict_yaml import read_yaml

PROFILES = sorted((Path(__file__).parent.parent / "profiles").glob("*.yaml"))
HERE = Platform("linux", "riscv64")


def parse_whole(text: str) -> Profile:
    return parse_profile(text, "p.yaml", lambda: HERE)


def parse(text: str) -> MachineType:
    return parse_whole(text).machine


def test_a_whole_profile() -> None:
    parsed = parse(
        "machine_type: type4\nplatform: linux/amd64\nfeatures: [cpu:broadwell, 'nvcap:5.2']\n"
        "prefer: [nvcap, cpu]\ncompare: {mpi: version}\nmatch: exact\notherwise: error\n"
        "gpus: any\ncpu_flags: >-\n  AVX2 fma\n  bmi2\n"
    )
    assert parsed == MachineType(
        name="type4",
        platform=Platform("linux", "amd64"),
        features=(Feature("cpu", "broadwell"), Feature("nvcap", "5.2")),
        prefer=("nvcap", "cpu"),
        compare={"mpi": Comparison.VERSION},
        match=MatchMode.EXACT,
        otherwise=Otherwise.ERROR,
        gpus=Gpus.ANY,
        cpu_flags=frozenset({"avx2", "fma", "bmi2"}),
    )


def test_a_file_of_metahub_and_the_defaults() -> None:
    parsed = parse("name: type1\nfeatures:\n  - cpu:broadwell\n")
    assert parsed.name == "type1"
    assert parsed.platform == HERE
    assert parsed.match is MatchMode.COMPATIBLE
    assert parsed.otherwise is Otherwise.INDEX
    assert parsed.gpus is Gpus.EVERY
    assert parsed.ranking[:4] == ("nvcap", "nvptx", "gfx", "rocm")


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
        ("name: a\ncpu_flags: avx2 a,b", "p.yaml:2: cpu_flags: 'a,b' is no CPU flag"),
        ("name: a\ngpus: some", "p.yaml:2: gpus: 'some' is unknown, known are every, any"),
        ("name: a\ndetect: {a b: host}", "p.yaml:2: detect.a b: 'a b' is no feature's key"),
        ("name: a\ndetect: {mpi: guess}", "p.yaml:2: detect.mpi: is neither `host` nor"),
        ("name: a\ndetect: {mpi: {cmd: x}}", "p.yaml:2: detect.mpi.cmd: unknown key, known are"),
        ("name: a\ndetect: {mpi: {}}", "p.yaml:2: detect.mpi: needs a key of its own and"),
        ("name: a\ndetect: {'*': {file: /x}}", "p.yaml:2: detect.*: needs a key of its own"),
        ('name: a\ndetect: {mpi: {command: "a \'b"}}', "p.yaml:2: detect.mpi.command: cannot"),
        ("name: a\ndetect: {mpi: {command: []}}", "p.yaml:2: detect.mpi.command: names no"),
        ("name: a\ndetect: {mpi: {file: x}}", "p.yaml:2: detect.mpi.file: is no absolute path"),
        ("name: a\ndetect: {m: {file: /x, pattern: (}}", "p.yaml:2: detect.m.pattern: is no reg"),
        ("name: a\ndetect: {m: {file: /x, seconds: 61}}", "p.yaml:2: detect.m.seconds: is not a"),
        ("name: a\ndetect: {m: {file: /x, seconds: .nan}}", "p.yaml:2: detect.m.seconds: is not"),
        ("name: a\ndetect: {m: {file: /x, seconds: []}}", "p.yaml:2: detect.m.seconds: is not a"),
    ],
)
def test_errors_name_file_line_and_key(text: str, says: str) -> None:
    with pytest.raises(InvalidProfile) as caught:
        parse(text)
    assert str(caught.value).startswith(says)


def test_what_a_profile_wants_detected() -> None:
    parsed = parse_whole(
        "name: a\ndetect:\n  cpu: host\n"
        "  mpi: {command: 'mpirun --version', pattern: '([0-9.]+)'}\n"
        "  fs: {command: [cat, 'a b']}\n  site: {file: /etc/site, seconds: 0.5}\n  '*': host\n"
    )
    assert parsed.wanted == (
        Wanted(key="cpu"),
        Wanted(key="mpi", command=("mpirun", "--version"), pattern="([0-9.]+)"),
        Wanted(key="fs", command=("cat", "a b")),
        Wanted(key="site", file="/etc/site", seconds=0.5),
        Wanted(key="*"),
    )
    assert [wanted.own for wanted in parsed.wanted] == [False, True, True, True, False]


def test_a_machine_type_within_a_file() -> None:
    (value,) = read_yaml("types:\n- {name: a, match: exact}", "f").mapping()["types"].items()
    assert parse_machine(value, lambda: HERE) == MachineType(
        name="a", platform=HERE, match=MatchMode.EXACT
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{name: a, detect: {'*': host}}", "f:1: types[0].detect: unknown key, known are mach"),
        ("{platform: linux/amd64}", "f:1: types[0]: machine_type is missing"),
        ("{name: a, features: [b c]}", "f:1: types[0].features[0]: 'b c' holds a space"),
    ],
)
def test_what_is_no_machine_type_within_a_file(text: str, says: str) -> None:
    (value,) = read_yaml(f"types: [{text}]", "f").mapping()["types"].items()
    with pytest.raises(InvalidProfile) as caught:
        parse_machine(value, lambda: HERE)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_shipped_profiles(path: Path) -> None:
    assert parse_profile(path.read_text(), str(path), lambda: HERE).machine.name == path.stem


def test_profiles_are_shipped() -> None:
    assert {"type1", "type2", "type3", "type4"} <= {path.stem for path in PROFILES}


@given(st.text())
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidProfile, match=r"^p\.yaml:"):
        parse(f"features: []\n{text}")
