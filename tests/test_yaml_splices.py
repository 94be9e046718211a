from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.yaml_splices import (
    Splice,
    applied,
    block,
    colon_after,
    end_of,
    flow,
    is_flow,
    line_end,
    newline_of,
    next_line,
    without,
)


def compose(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    assert node is not None
    return node


def test_splices_may_come_in_any_order() -> None:
    splices = [Splice(3, 3, "-"), Splice(0, 1, "x"), Splice(4, 5, "")]
    assert applied("abcde", splices) == "xbc-d"
    assert applied("abcde", []) == "abcde"


@pytest.mark.parametrize(
    ("text", "newline", "end", "after"),
    [
        ("ab\ncd", "\n", 2, 3),
        ("ab\r\ncd", "\r\n", 2, 4),
        ("abc", "\n", 3, 3),
        ("ab\r\nc\nd", "\n", 2, 4),
        ("ab\nc\r\nd\r\n", "\r\n", 2, 3),
        ("ab\n", "\n", 2, 3),
    ],
)
def test_lines(text: str, newline: str, end: int, after: int) -> None:
    assert newline_of(text) == newline
    for at in (1, end):
        assert line_end(text, at) == end
        assert next_line(text, at) == after


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("a: b  # c\n", "b"),
        ("a:\n  - b\n  - c: d\n    e: 'f'\n\n# g\n", "'f'"),
        ("a:\n- [b, c]  # d\n\n", "]"),
        ("{a: b}\n# c\n", "}"),
        ("a: |-\n  b\n\n\n# c\n", "b"),
        ("a: []\n", "]"),
        ("a: b\n  c\n", "c"),
    ],
)
def test_where_a_node_ends(text: str, last: str) -> None:
    end = end_of(text, compose(text))
    assert text[:end].endswith(last)
    assert not text[end:].strip() or "#" in text[end:]


def test_where_an_empty_value_ends() -> None:
    node = compose("a:\nb: c")
    assert end_of("a:\nb: c", node.value[0][1]) == 2


def test_what_is_in_brackets() -> None:
    assert [is_flow(compose(text)) for text in ("[a]", "{a: b}", "- a", "a: b", "a")] == [
        *(True, True, False, False, False)
    ]


def test_a_colon() -> None:
    text = "'a:b' : c"
    assert text[colon_after(text, compose(text).value[0][0]) :] == " c"


@pytest.mark.parametrize(
    ("text", "removed", "left"),
    [
        ("a\n  bc  \nd\n", "bc", "a\nd\n"),
        ("a\r\n  bc\r\nd", "bc", "a\r\nd"),
        ("a\nbc", "bc", "a\n"),
        ("a\n- bc\nd", "bc", "a\n- \nd"),
        ("a\nbc # x\nd", "bc", "a\n# x\nd"),
        ("[ab,  c]", "ab,", "[c]"),
        ("a\n  b\n c\nd", "b\n c", "a\nd"),
    ],
)
def test_a_removal_takes_its_lines_along(text: str, removed: str, left: str) -> None:
    start = text.index(removed)
    assert applied(text, [without(text, start, start + len(removed))]) == left


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("cpu:zen2", "cpu:zen2"),
        ("nvcap:5.2", "nvcap:5.2"),
        ("linux/amd64", "linux/amd64"),
        ("on", '"on"'),
        ("null", '"null"'),
        ("1:20", '"1:20"'),
        ("5.2", '"5.2"'),
        ("a b", '"a b"'),
        ("a:", '"a:"'),
        ("-a", '"-a"'),
        ("", '""'),
        ("ü", '"ü"'),
        (["cpu:zen2", "on"], '[cpu:zen2, "on"]'),
        ({"mpi": "version", "on": []}, '{mpi: version, "on": []}'),
    ],
)
def test_values_on_one_line(value: Any, written: str) -> None:
    assert flow(value) == written


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"])) | st.sampled_from(
    ["on", "yes", "0x1", "1e3", "~", "=", "<<", "2001-01-01", ".inf", "null:x"]
)


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner)))
def test_what_is_written_reads_back(value: Any) -> None:
    assert yaml.safe_load(f"[{flow(value)}]") == [value]


@given(st.dictionaries(st.from_regex(r"\A[a-z_]+\Z"), TEXTS | st.lists(TEXTS), min_size=1))
def test_a_block_reads_back(value: Mapping[str, Any]) -> None:
    keys = {f"k_{key}": item for key, item in value.items()}
    assert yaml.safe_load(f"-   {block(keys, '    ', chr(10))}\n") == [keys]
