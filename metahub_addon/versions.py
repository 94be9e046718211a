"""The order of versions: dotted numbers, and equality for whatever is none."""

import re

from metahub_addon.match import Match

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_PARTS = 6


def match_version(required: str, has: str) -> Match:
    """Judge an image that needs at least version `required` on a host that has `has`."""
    minimum, own = version(required), version(has)
    if minimum is None or own is None:
        return match_exact(required, has)
    if minimum <= own:
        gaps = tuple(b - a for a, b in zip(minimum, own, strict=True))
        return Match(f"{has} is at least {required}", gaps)
    return Match(f"needs at least {required}, this host has {has}")


def match_exact(required: str, has: str) -> Match:
    """Judge an image that needs the very value; an empty one stands for a bare flag."""
    if required == has:
        return Match("equal", (0,))
    return Match(f"needs {required or 'the flag'}, this host has {has or 'the flag alone'}")


def version(text: str) -> tuple[int, ...] | None:
    """The dotted numbers that a version starts with (`5.15.0-91-generic`: 5.15.0)."""
    found = _VERSION.match(text)
    if found is None:
        return None
    parts = [int(part[:9]) for part in found[0].split(".")[:_PARTS]]
    return tuple(parts + [0] * (_PARTS - len(parts)))
