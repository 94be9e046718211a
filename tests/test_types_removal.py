import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.types_removal import remove_type
from support.hub_files import FILE, Lines, files, loaded


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        (
            "t1",
            "  - name: t1\n    platform: linux/amd64  # all of them\n    features:\n"
            "      - cpu:broadwell  # as sold\n      - nvcap:5.2\n",
        ),
        ("t2", "  - machine_type: t2\n    features: [cpu:skylake]  # skylake\n"),
    ],
)
def test_a_removed_type_takes_its_own_lines_along(name: str, gone: str) -> None:
    assert remove_type(FILE, "f", name) == FILE.replace(gone, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("types:\n- name: n\n", "types: []\n"),
        ("types: # all\n  # n\n  - name: n\n# end", "types: [] # all\n  # n\n# end"),
        ("types:\n- name: a\n-   # - n\n  name: n", "types:\n- name: a\n"),
        ("types: [{name: n}]", "types: []"),
        ("types: [{name: n},]", "types: []"),
        ("types: [{name: n}, {name: b}]", "types: [{name: b}]"),
        ("types: [{name: a}, {name: n}]", "types: [{name: a}]"),
        (
            "types: [\n  {name: a},  # a\n  {name: n}  # n\n]\n",
            "types: [\n  {name: a}  # a\n  # n\n]\n",
        ),
        ("types: [\n  {name: n},\n  {name: b},\n]\n", "types: [\n  {name: b},\n]\n"),
        ('{"types": [\n{"name": "a"},\n{"name": "n"}\n]}', '{"types": [\n{"name": "a"}\n]}'),
        ("types: [{name: n, features: [x, y]}, {name: b}]", "types: [{name: b}]"),
    ],
)
def test_what_is_left_of_the_list(before: str, after: str) -> None:
    assert remove_type(before, "f", "n") == after
    yaml.safe_load(after)


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("accounts: [{types: [x, n]}]", "f:2: accounts[0].types[1]: still names"),
        ("accounts: [{}, {type: n}]", "f:2: accounts[1].type: still names"),
        ("networks: [{type: n}]", "f:2: networks[0].type: still names"),
        ("certificates:\n- name: n\n  type: n", "f:4: certificates[0].type: still names"),
    ],
)
def test_a_type_that_is_named_stays(rest: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        remove_type(f"types: [{{name: n}}, {{name: x}}]\n{rest}", "f", "n")
    assert str(caught.value) == f"{says} the machine type n"
    assert remove_type(f"types: [{{name: n}}, {{name: other}}]\n{rest}", "f", "other")


@pytest.mark.parametrize("text", ["user: a", "types: []", "types: [{name: a}]", "types: [{}]"])
def test_a_type_that_is_not_there_can_not_be_removed(text: str) -> None:
    with pytest.raises(InvalidYaml, match="f:1: file: there is no machine type 'n'"):
        remove_type(text, "f", "n")


@given(files(), st.sampled_from("abcd"))
def test_removing_leaves_all_other_lines(file: Lines, name: str) -> None:
    if name not in loaded(file.text):
        return
    assert remove_type(file.text, "f", name) == file.without(name)
