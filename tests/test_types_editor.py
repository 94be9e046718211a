import json
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.types_editor import put_type
from metahub_addon.types_removal import remove_type
from support.hub_files import FILE, Lines, files, loaded

NEW = {"name": "new", "features": ["cpu:zen2", "on"]}


def put(text: str, **machine: Any) -> str:
    return put_type(text, "f", machine)


def test_a_new_type_goes_behind_the_last() -> None:
    assert put_type(FILE, "f", NEW) == FILE.replace(
        "# skylake\n", '# skylake\n  - name: new\n    features: [cpu:zen2, "on"]\n'
    )


def test_the_same_type_changes_nothing() -> None:
    same = put(FILE, name="t1", platform="linux/amd64", features=["cpu:broadwell", "nvcap:5.2"])
    assert same == FILE
    assert put(FILE, name="t2", features=["cpu:skylake"]) == FILE


@pytest.mark.parametrize(
    ("machine", "old", "new"),
    [
        (
            {"features": ["cpu:zen2"], "platform": "linux/amd64"},
            "      - cpu:broadwell  # as sold\n      - nvcap:5.2\n",
            "      - cpu:zen2\n",
        ),
        (
            {"features": [], "platform": "linux/amd64"},
            "features:\n      - cpu:broadwell  # as sold\n      - nvcap:5.2\n",
            "features: []\n",
        ),
        (
            {"features": ["cpu:broadwell", "nvcap:5.2"], "platform": "linux/arm64"},
            "linux/amd64",
            "linux/arm64",
        ),
        (
            {"features": ["cpu:broadwell", "nvcap:5.2"]},
            "    platform: linux/amd64  # all of them\n",
            "    # all of them\n",
        ),
        (
            {"platform": "linux/amd64"},
            "    features:\n      - cpu:broadwell  # as sold\n      - nvcap:5.2\n",
            "",
        ),
        (
            {
                "features": ["cpu:broadwell", "nvcap:5.2"],
                "platform": "linux/amd64",
                "match": "exact",
                "compare": {"mpi": "version"},
            },
            "      - nvcap:5.2\n",
            "      - nvcap:5.2\n    match: exact\n    compare: {mpi: version}\n",
        ),
    ],
)
def test_a_changed_type_keeps_what_it_has(machine: dict[str, Any], old: str, new: str) -> None:
    assert put_type(FILE, "f", {"name": "t1", **machine}) == FILE.replace(old, new)


def test_what_stands_below_a_key_is_laid_out_as_it_was() -> None:
    text = "types:\n- name: a\n  compare:\n    mpi: exact\n  features:\n  - x\n"
    assert put(text, name="a", compare={"mpi": "version"}, features=["y", "z"]) == (
        "types:\n- name: a\n  compare: {mpi: version}\n  features:\n  - y\n  - z\n"
    )
    assert put(text, name="a") == "types:\n- name: a\n"
    assert put(text, name="a", compare={"mpi": "exact"}, features=[]) == (
        "types:\n- name: a\n  compare:\n    mpi: exact\n  features: []\n"
    )


def test_a_first_key_may_go() -> None:
    text = "types:\n- platform: linux/amd64\n  name: a\n"
    assert yaml.safe_load(put(text, name="a", match="exact")) == {
        "types": [{"name": "a", "match": "exact"}]
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("user: a", "user: a\ntypes:\n  - name: n\n"),
        ("user: a\n# end\n", "user: a\n# end\ntypes:\n  - name: n\n"),
        ("user: a\r\n", "user: a\r\ntypes:\r\n  - name: n\r\n"),
        ("  user: a\n", "  user: a\n  types:\n    - name: n\n"),
        ("types: []  # none\n", "types: [{name: n}]  # none\n"),
        ("types: [{name: a}]\n", "types: [{name: a}, {name: n}]\n"),
        ("types: [\n  {name: a},  # a\n]\n", "types: [\n  {name: a}, {name: n},  # a\n]\n"),
        ("types:\n- {name: a} # a\nuser: b\n", "types:\n- {name: a} # a\n- {name: n}\nuser: b\n"),
        ("types:\n-   name: a", "types:\n-   name: a\n-   name: n"),
        ('{"user": "a"}', '{"types": [{"name": "n"}], "user": "a"}'),
        ('{"types": [\n{"name": "a"}\n]}', '{"types": [\n{"name": "a"}, {"name": "n"}\n]}'),
    ],
)
def test_where_a_new_type_is_put(before: str, after: str) -> None:
    assert put(before, name="n") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("types: [{name: n, features: [x]}]", "types: [{name: n, features: [y]}]"),
        ("types:\n- {name: n} # c\n", "types:\n- {name: n, features: [y]} # c\n"),
        ('{"types": [{"name": "n"}]}', '{"types": [{"name": "n", "features": ["y"]}]}'),
        ("types: [{name: n,  features: ['y']}]", "types: [{name: n,  features: ['y']}]"),
    ],
)
def test_a_changed_type_in_brackets(before: str, after: str) -> None:
    assert put(before, name="n", features=["y"]) == after


MACHINES = st.fixed_dictionaries(
    {},
    optional={
        "platform": st.sampled_from(["linux/amd64", "linux/arm64"]),
        "features": st.lists(st.sampled_from(["x", "y", "on", "cpu:zen2", "é#"]), unique=True),
        "match": st.just("exact"),
        "compare": st.dictionaries(st.sampled_from(["mpi", "no"]), st.just("version")),
    },
)


@given(files(), st.sampled_from("abcde"), MACHINES)
def test_putting_leaves_all_other_lines(file: Lines, name: str, rest: dict[str, Any]) -> None:
    machine = {"name": name, **rest}
    text = put_type(file.text, "f", machine)
    assert loaded(text) == {**loaded(file.text), name: machine}
    assert put_type(text, "f", machine) == text
    kept = [line for owner, line in file.owned if owner != name]
    lines = iter(text.split(file.ending))
    assert all(line in lines for line in kept)  # in this order
    if name not in loaded(file.text):
        assert remove_type(text, "f", name) == file.text


@given(st.lists(st.sampled_from("abc"), unique=True), MACHINES, st.sampled_from([None, 2]))
def test_a_file_in_json_stays_one(
    names: Sequence[str], rest: dict[str, Any], indent: int | None
) -> None:
    before = {"user": "u", "types": [{"name": name, "features": ["é", "x"]} for name in names]}
    text = json.dumps(before, indent=indent)
    put = put_type(text, "f", {"name": "n", **rest})
    assert json.loads(put) == {**before, "types": [*before["types"], {"name": "n", **rest}]}
    assert json.loads(remove_type(put, "f", "n")) == before
