"""Machine types taken out of a hub's text, with all else left as it is."""

from collections.abc import Mapping, Sequence

import yaml

from metahub_addon.strict_yaml import Value
from metahub_addon.types_text import TYPES, name_of, read_types
from metahub_addon.yaml_splices import (
    Splice,
    applied,
    colon_after,
    end_of,
    is_flow,
    next_line,
    without,
)

_BY_TYPE = ("type", "types")


def remove_type(text: str, source: str, name: str) -> str:
    """The text without a machine type; raises InvalidYaml if it is not there or needed."""
    root = read_types(text, source)
    given = root.mapping()
    entries = given[TYPES].items() if TYPES in given else []
    at = next((at for at, entry in enumerate(entries) if name_of(entry) == name), None)
    if at is None:
        raise root.error(f"there is no machine type {name!r}")
    for value in _references(given):
        if value.text() == name:
            raise value.error(f"still names the machine type {name}")
    nodes = [entry.node for entry in entries]
    if is_flow(given[TYPES].node):
        return applied(text, _flow_removal(text, given[TYPES].node, at))
    return applied(text, _block_removal(text, root.node, nodes, at))


def _references(given: Mapping[str, Value]) -> Sequence[Value]:
    """Every value that names a machine type, but for the list of them."""
    found: list[Value] = []
    for section in ("accounts", "networks", "certificates"):
        for item in given[section].items() if section in given else ():
            for key, value in item.mapping().items():
                if key in _BY_TYPE:
                    found += [value] if value.is_text else value.items()
    return found


def _flow_removal(text: str, types: yaml.Node, at: int) -> Sequence[Splice]:
    """An entry and the comma behind it, or the one before the last; comments stay."""
    nodes = types.value
    start, end = nodes[at].start_mark.index, nodes[at].end_mark.index
    commas = _tokens(text, yaml.FlowEntryToken)
    until = nodes[at + 1].start_mark.index if at + 1 < len(nodes) else types.end_mark.index
    behind = [comma for comma in commas if end <= comma < until]
    if behind:
        return [without(text, start, behind[0] + 1)]
    if not at:
        return [Splice(start, end, "")]
    comma = max(comma for comma in commas if comma < start)
    if text[comma + 1 : start].strip():
        return [Splice(comma, comma + 1, ""), without(text, start, end)]
    return [Splice(comma, end, "")]


def _block_removal(
    text: str, root: yaml.Node, nodes: Sequence[yaml.Node], at: int
) -> Sequence[Splice]:
    dashes = _tokens(text, yaml.BlockEntryToken)
    dash = max(index for index in dashes if index < nodes[at].start_mark.index)
    start, end = text.rfind("\n", 0, dash) + 1, next_line(text, end_of(text, nodes[at]))
    removal = Splice(start, end, "")
    if len(nodes) > 1:
        return [removal]
    key = next(key for key, _ in root.value if key.value == TYPES)
    colon = colon_after(text, key)
    return [Splice(colon, colon, " []"), removal]


def _tokens(text: str, kind: type[yaml.Token]) -> Sequence[int]:
    tokens = yaml.scan(text, Loader=yaml.SafeLoader)
    return [token.start_mark.index for token in tokens if isinstance(token, kind)]
