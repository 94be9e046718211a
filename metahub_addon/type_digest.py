"""A machine type's digest, by which a change tells from which state it was made."""

import json
from collections.abc import Mapping
from dataclasses import fields
from hashlib import sha256

from metahub_addon.machine import MachineType


def digest_of(machine: MachineType | None) -> str:
    """All that a machine type is, in hex, the same on each replica; empty: there is none."""
    if machine is None:
        return ""
    plain = {field.name: _plain(getattr(machine, field.name)) for field in fields(MachineType)}
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """A field's value; of these only a tuple has an order that means something."""
    match value:
        case tuple():
            return [str(one) for one in value]
        case frozenset():
            return sorted(map(str, value))
        case Mapping():
            return {str(key): str(one) for key, one in value.items()}
        case _:
            return str(value)
