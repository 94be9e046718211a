"""Pieces of a YAML text cut out and put in, by where the parser says that nodes stand."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

# What reads the same within brackets and without; numbers and words of YAML 1.1 are left
# to the parser to tell.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*(?::[A-Za-z0-9_./+-]+)*")


@dataclass(frozen=True, slots=True)
class Splice:
    """A text in the place of another, whose start and end are counted in characters."""

    start: int
    end: int
    text: str


def applied(text: str, splices: Iterable[Splice]) -> str:
    """The text with all splices, which do not overlap."""
    for splice in sorted(splices, key=lambda splice: splice.start, reverse=True):
        text = f"{text[: splice.start]}{splice.text}{text[splice.end :]}"
    return text


def newline_of(text: str) -> str:
    """How most lines of a text end."""
    return "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"


def line_end(text: str, at: int) -> int:
    """Where the line ends that a place is in: before its line break."""
    end = text.find("\n", at)
    if end < 0:
        return len(text)
    return end - 1 if text[at:end].endswith("\r") else end


def next_line(text: str, at: int) -> int:
    """Where the line behind that of a place begins."""
    return (text.find("\n", at) + 1) or len(text)


def colon_after(text: str, key: yaml.Node) -> int:
    """The place behind a key's colon."""
    return text.index(":", key.end_mark.index) + 1


def is_flow(node: yaml.Node) -> bool:
    """True for a list or mapping in brackets."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def end_of(text: str, node: yaml.Node) -> int:
    """Where a node's last character is past; a block's own mark is where the next begins."""
    while isinstance(node, yaml.CollectionNode) and not is_flow(node) and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    start, end = node.start_mark.index, node.end_mark.index
    return start + len(text[start:end].rstrip())


def without(text: str, start: int, end: int) -> Splice:
    """The removal of a part, and of its lines or the space behind it if nothing is there."""
    first, last = text.rfind("\n", 0, start) + 1, line_end(text, end)
    if text[first:start].strip() or text[end:last].strip():
        spaces = len(text[end:last]) - len(text[end:last].lstrip())
        return Splice(start, end + spaces, "")
    return Splice(first, next_line(text, last), "")


def block(mapping: Mapping[str, Any], indent: str, newline: str) -> str:
    """A mapping, one key a line, each but the first behind `indent`."""
    lines = (f"{key}: {flow(value)}" for key, value in mapping.items())
    return f"{newline}{indent}".join(lines)


def flow(value: Any) -> str:
    """Strings, lists and mappings on one line, without quotes where none are needed."""
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{flow(key)}: {flow(item)}' for key, item in value.items())}}}"
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and yaml.safe_load(value) == value
        return value if is_plain else json.dumps(value, ensure_ascii=False)
    return f"[{', '.join(map(flow, value))}]"
