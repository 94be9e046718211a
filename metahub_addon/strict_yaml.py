"""YAML read strictly: every wrong key and value is named with its file and line."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

MAX_YAML_BYTES = 1024 * 1024


class InvalidYaml(ValueError):
    """A file that is not what it should be; the message is `file:line: key: what`."""


@dataclass(frozen=True, slots=True)
class Value:
    """A node of a YAML document, with the file and the key that it stands at."""

    node: yaml.Node
    source: str
    path: str

    def error(self, what: str) -> InvalidYaml:
        """An InvalidYaml that names this value's file, line and key."""
        return InvalidYaml(f"{self.source}:{self.node.start_mark.line + 1}: {self.path}: {what}")

    def text(self) -> str:
        """The value as a non-empty, printable string; raises InvalidYaml."""
        if not isinstance(self.node, yaml.ScalarNode):
            kind = "a mapping" if isinstance(self.node, yaml.MappingNode) else "a list"
            raise self.error(f"is {kind}, not a string (write key:value without a space)")
        value: str = self.node.value
        if self.node.tag != "tag:yaml.org,2002:str":
            raise self.error(f"is {value!r}, not a string (put it in quotes)")
        if not value.strip() or not value.isprintable():
            raise self.error("is empty or holds an unprintable character")
        return value.strip()

    @property
    def is_text(self) -> bool:
        """True for a scalar, rather than a list or a mapping."""
        return isinstance(self.node, yaml.ScalarNode)

    def number(self) -> float:
        """The value as a finite number; raises InvalidYaml."""
        if isinstance(self.node, yaml.ScalarNode):
            try:
                number = float(self.node.value)
            except ValueError:
                number = math.nan
            if math.isfinite(number):
                return number
        raise self.error("is not a number")

    def items(self) -> list["Value"]:
        """The values of a list; raises InvalidYaml."""
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.error("is not a list")
        return [
            Value(node, self.source, f"{self.path}[{at}]")
            for at, node in enumerate(self.node.value)
        ]

    def mapping(self) -> Mapping[str, "Value"]:
        """The values of a mapping by key; raises InvalidYaml, also for a key given twice."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error("is not a mapping")
        prefix = f"{self.path}." if self.path != "profile" else ""
        values: dict[str, Value] = {}
        for key_node, node in self.node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise Value(key_node, self.source, self.path).error("a key is not a string")
            key: str = key_node.value
            value = Value(node, self.source, f"{prefix}{key}")
            if key in values:
                raise Value(key_node, self.source, value.path).error("is given twice")
            values[key] = value
        return values


def read_yaml(text: str, source: str) -> Value:
    """The one document in a text; raises InvalidYaml naming `source` and the line."""
    if len(text) > MAX_YAML_BYTES:
        raise InvalidYaml(f"{source}:1: profile: is longer than {MAX_YAML_BYTES} characters")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise InvalidYaml(f"{source}:{line}: profile: is not YAML ({error.problem})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidYaml(f"{source}:1: profile: is not YAML ({type(error).__name__})") from error
    if node is None:
        raise InvalidYaml(f"{source}:1: profile: is empty")
    return Value(node, source, "profile")
