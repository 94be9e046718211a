"""Machine types put into a hub's text, with all else left as it is."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from metahub_addon.strict_yaml import Value
from metahub_addon.types_text import NAMES, TYPES, name_of, read_types
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
    without,
)


def put_type(text: str, source: str, machine: Mapping[str, Any]) -> str:
    """The text with a machine type added, or put in the place of the one of its name.

    `machine` is a valid one by the keys of a profile. What it has in common with the old
    one stays as it is written. Raises InvalidYaml where that can't be done.
    """
    root = read_types(text, source)
    given = root.mapping()
    if TYPES not in given:
        return applied(text, [_new_list(text, root, machine)])
    entries = given[TYPES].items()
    for entry in entries:
        if name_of(entry) == _named(machine):
            return applied(text, _changes(text, root, entry, machine))
    return applied(text, [_addition(text, root, given[TYPES].node, machine)])


def _named(machine: Mapping[str, Any]) -> str:
    return str(next((machine[key] for key in NAMES if key in machine), ""))


def _flow(root: Value, machine: Mapping[str, Any]) -> str:
    """A machine type on one line; as JSON where the file may be one."""
    return json.dumps(machine) if is_flow(root.node) else flow(machine)


def _new_list(text: str, root: Value, machine: Mapping[str, Any]) -> Splice:
    if is_flow(root.node):
        start = root.node.start_mark.index + 1
        return Splice(start, start, f'"{TYPES}": [{_flow(root, machine)}], ')
    newline, indent = newline_of(text), " " * root.node.start_mark.column
    begun = "" if text.endswith("\n") else newline
    entry = block(machine, f"{indent}    ", newline)
    added = f"{begun}{indent}{TYPES}:{newline}{indent}  - {entry}{newline}"
    return Splice(len(text), len(text), added)


def _addition(text: str, root: Value, types: yaml.Node, machine: Mapping[str, Any]) -> Splice:
    if is_flow(types):
        start = end_of(text, types.value[-1]) if types.value else types.start_mark.index + 1
        return Splice(start, start, f"{', ' if types.value else ''}{_flow(root, machine)}")
    last = types.value[-1]
    dash, inner = types.start_mark.column, last.start_mark.column
    newline = newline_of(text)
    entry = flow(machine) if is_flow(last) else block(machine, " " * inner, newline)
    at = line_end(text, end_of(text, last))
    return Splice(at, at, f"{newline}{' ' * dash}-{' ' * (inner - dash - 1)}{entry}")


def _changes(text: str, root: Value, entry: Value, machine: Mapping[str, Any]) -> Sequence[Splice]:
    node = entry.node
    if is_flow(node):
        if _plain(node) == machine:
            return []
        return [Splice(node.start_mark.index, node.end_mark.index, _flow(root, machine))]
    own = {key: value for key, value in machine.items() if key not in NAMES}
    splices: list[Splice] = []
    for key_node, value_node in node.value:
        key = key_node.value
        if key in own and _plain(value_node) != own[key]:
            splices.append(_change(text, key_node, value_node, own[key]))
        elif key not in own and key not in NAMES:
            start, end = key_node.start_mark.index, end_of(text, value_node)
            splices.append(without(text, start, end))
    added = {key: value for key, value in own.items() if key not in entry.mapping()}
    if added:
        indent, newline = " " * node.start_mark.column, newline_of(text)
        at = line_end(text, end_of(text, node))
        lines = block(added, indent, newline)
        splices.append(Splice(at, at, f"{newline}{indent}{lines}"))
    return splices


def _change(text: str, key: yaml.Node, old: yaml.Node, new: Any) -> Splice:
    """A value in the place of another: a list below its key stays one."""
    end = end_of(text, old)
    if isinstance(old, yaml.CollectionNode) and not is_flow(old):
        if isinstance(old, yaml.SequenceNode) and isinstance(new, list) and new:
            between = f"{newline_of(text)}{' ' * old.start_mark.column}"
            items = between.join(f"- {flow(item)}" for item in new)
            return Splice(old.start_mark.index, end, items)
        return Splice(colon_after(text, key), end, f" {flow(new)}")
    return Splice(old.start_mark.index, end, flow(new))


def _plain(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {key.value: _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    return node.value
