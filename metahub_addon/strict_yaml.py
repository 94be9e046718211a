"""YAML read strictly: every wrong key and value is named with its file and line."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

MAX_YAML_BYTES = 1024 * 1024
# In what the parser says of an alias or a tag; what it says of one character stays.
_QUOTED = re.compile(r"'[^']{2,}'")


class InvalidYaml(ValueError):
    """A file that is not what it should be; the message is `file:line: key: what`."""


@dataclass(frozen=True, slots=True)
class Value:
    """A node of a YAML document, with the file and the key that it stands at."""

    node: yaml.Node = field(repr=False)
    source: str
    path: str
    is_root: bool = False

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

    def boolean(self) -> bool:
        """The value as true or false (YAML 1.1: also yes, no, on, off); raises InvalidYaml."""
        if self.node.tag != "tag:yaml.org,2002:bool":
            raise self.error("is neither true nor false")
        return str(self.node.value).lower() in ("true", "yes", "on")

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
        prefix = "" if self.is_root else f"{self.path}."
        values: dict[str, Value] = {}
        for key_node, node in self.node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise Value(key_node, self.source, self.path).error("a key is not a string")
            key: str = key_node.value
            # `password:secret` without a space is a key: what may be secret is not shown.
            value = Value(node, self.source, f"{prefix}{key.partition(':')[0]}")
            if key in values:
                raise Value(key_node, self.source, value.path).error("is given twice")
            values[key] = value
        return values


def read_yaml(text: str, source: str, kind: str = "profile") -> Value:
    """The one document in a text; raises InvalidYaml naming `source` and the line.

    `kind` stands for the document as a whole where no key does. Nothing of the text is
    quoted, nor kept as the error's cause: it may hold passwords.
    """
    if len(text) > MAX_YAML_BYTES:
        raise InvalidYaml(f"{source}:1: {kind}: is longer than {MAX_YAML_BYTES} characters")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = _QUOTED.sub("'…'", error.problem or "")
        raise InvalidYaml(f"{source}:{line}: {kind}: is not YAML ({problem})") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidYaml(f"{source}:1: {kind}: is not YAML ({type(error).__name__})") from None
    if node is None:
        raise InvalidYaml(f"{source}:1: {kind}: is empty")
    return Value(node, source, kind, is_root=True)
