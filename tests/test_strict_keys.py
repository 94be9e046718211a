from collections.abc import Callable

import pytest

from metahub_addon.strict_keys import absolute_path, name_in, required, strict_keys, unique_texts
from metahub_addon.strict_yaml import InvalidYaml, Value, read_yaml


def value(text: str) -> Value:
    return read_yaml(f"\na: {text}", "f").mapping()["a"]


def test_what_is_fine() -> None:
    given = strict_keys(value("{b: c}"), ("b", "d"))
    assert required(value("x"), given, "b").text() == "c"
    assert name_in(value("c"), {"c": 1}, "thing") == "c"
    assert unique_texts(value("[b, c]")) == ("b", "c")
    assert unique_texts(value("[]")) == ()
    assert absolute_path(value("/b")) == "/b"


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda: strict_keys(value("{b: c}"), ("d", "e")), "f:2: a.b: unknown key, known are d, e"),
        (lambda: strict_keys(value("b"), ("b",)), "f:2: a: is not a mapping"),
        (lambda: required(value("b"), {}, "c"), "f:2: a: c is missing"),
        (lambda: name_in(value("b"), ["c"], "thing"), "f:2: a: 'b' is no thing of this file"),
        (lambda: name_in(value("[b]"), ["b"], "thing"), "f:2: a: is a list"),
        (lambda: unique_texts(value("[b, c, b]")), "f:2: a[2]: b is given twice"),
        (lambda: unique_texts(value("[b, 1]")), "f:2: a[1]: is '1', not a string"),
        (lambda: unique_texts(value("b")), "f:2: a: is not a list"),
        (lambda: absolute_path(value("b/c")), "f:2: a: is no absolute path"),
    ],
)
def test_errors_name_file_line_and_key(read: Callable[[], object], says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        read()
    assert str(caught.value).startswith(says)
