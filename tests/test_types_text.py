import pytest

from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.types_text import TYPES, name_of, read_types


def test_names() -> None:
    root = read_types("types: [{name: a}, {machine_type: b}, {x: y}]", "f")
    assert [name_of(entry) for entry in root.mapping()[TYPES].items()] == ["a", "b", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("types:\n- &x {name: a}", "f:2: file: has an anchor or alias; change machine types in"),
        ("user: &x a\ntypes: [{name: *x}]", "f:1: file: has an anchor or alias"),
        ("", "f:1: file: is empty"),
        ("types: [", "f:1: file: is not YAML"),
    ],
)
def test_what_is_left_to_people(text: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        read_types(text, "f")
    assert str(caught.value).startswith(says)
