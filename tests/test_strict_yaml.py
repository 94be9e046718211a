import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.strict_yaml import MAX_YAML_BYTES, InvalidYaml, read_yaml


def test_reading() -> None:
    values = read_yaml("a: x\nb: ['1', y:2]\nc: {d: e}\n", "f").mapping()
    assert values["a"].text() == "x"
    assert [item.text() for item in values["b"].items()] == ["1", "y:2"]
    assert values["c"].mapping()["d"].text() == "e"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f:1: profile: is empty"),
        ("a: [\n", "f:2: profile: is not YAML"),
        ("a: b: c", "f:1: profile: is not YAML"),
        ("\x00", "f:1: profile: is not YAML"),
        ("[" * 5000, "f:1: profile: is not YAML"),
        ("x" * (MAX_YAML_BYTES + 1), "f:1: profile: is longer"),
        ("- a", "f:1: profile: is not a mapping"),
        ("a: x\nb: y\na: z", "f:3: a: is given twice"),
        ("c: {d: 1, d: 2}", "f:1: c.d: is given twice"),
        ("[a]: x", "f:1: profile: a key is not a string"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    def read() -> None:
        for value in read_yaml(text, "f").mapping().values():
            value.mapping()

    with pytest.raises(InvalidYaml) as caught:
        read()
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1", "f:1: a: is '1', not a string (put it in quotes)"),
        ("a: {b: c}", "f:1: a: is a mapping, not a string"),
        ("a: [b]", "f:1: a: is a list, not a string"),
        ("\na: ''", "f:2: a: is empty"),
        ('a: "\\x1b"', "f:1: a: is empty or holds an unprintable"),
    ],
)
def test_what_is_no_text(text: str, says: str) -> None:
    value = read_yaml(text, "f").mapping()["a"]
    with pytest.raises(InvalidYaml) as caught:
        value.text()
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("text", "told"),
    [("true", True), ("Yes", True), ("ON", True), ("false", False), ("no", False), ("off", False)],
)
def test_booleans(text: str, told: bool) -> None:
    assert read_yaml(f"a: {text}", "f").mapping()["a"].boolean() is told


@pytest.mark.parametrize("text", ["'true'", "1", "[true]", "", "y"])
def test_what_is_no_boolean(text: str) -> None:
    with pytest.raises(InvalidYaml, match="f:1: a: is neither true nor false"):
        read_yaml(f"a: {text}", "f").mapping()["a"].boolean()


def test_the_kind_of_a_file_stands_for_the_whole() -> None:
    with pytest.raises(InvalidYaml, match="f:1: hub: is not a mapping"):
        read_yaml("- a", "f", "hub").mapping()
    assert read_yaml("hub: {profile: {a: b}}", "f", "hub").mapping()["hub"].path == "hub"
    inner = read_yaml("profile: {a: b}", "f").mapping()["profile"].mapping()["a"]
    assert inner.path == "profile.a"


@pytest.mark.parametrize(
    "text", ["a: *s3cret", "a: !s3cret!x y", "a: @s3cret", "a: 's3cret", "s3cret\nb: [", "a:s3cret"]
)
def test_no_error_quotes_what_may_be_secret(text: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        read_yaml(text, "f").mapping()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_value_shows_nothing_of_itself() -> None:
    assert "s3cret" not in repr(read_yaml("a: s3cret", "f").mapping()["a"])


def test_what_is_no_list() -> None:
    with pytest.raises(InvalidYaml, match="f:1: a: is not a list"):
        read_yaml("a: b", "f").mapping()["a"].items()


@given(st.text())
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    try:
        read_yaml(text, "f").mapping()
    except InvalidYaml as error:
        assert str(error).startswith("f:")
