"""Configuration files of the node, parsed."""

import json
import tomllib
from pathlib import PurePosixPath
from typing import Any

from installer.node import Node
from installer.problem import Problem


def read_toml(node: Node, path: PurePosixPath | str) -> dict[str, Any]:
    """A TOML file of the node; empty if it is none, or not there."""
    try:
        return tomllib.loads(node.read(path))
    except tomllib.TOMLDecodeError:
        return {}


def read_json(node: Node, path: PurePosixPath) -> dict[str, Any]:
    """A JSON object of the node; empty if the file is not there. Raises Problem."""
    text = node.read(path)
    try:
        document = json.loads(text or "{}")
    except ValueError as error:
        raise Problem(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Problem(f"{path}: is not a JSON object")
    return document
