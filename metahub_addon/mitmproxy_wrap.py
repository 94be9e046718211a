"""Change what mitmproxy has no hook for: a method or class of its own, in this whole process.

mitmproxy is free to move these. Where one is missing nothing is changed, and the log says so.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

logger = logging.getLogger("metahub")

_originals: dict[str, Any] = {}


def wrap(place: str, make: Callable[[Any], Any]) -> bool:
    """Put `make(original)` in the place `module:Class.method`; False if there is none.

    Another call for the same place begins with mitmproxy's own again.
    """
    try:
        owner, name = _find(place)
        found = getattr(owner, name)
    except (ImportError, AttributeError):
        logger.warning("not as mitmproxy 11 and 12 have it, so it is left unbounded: %s", place)
        return False
    setattr(owner, name, make(_originals.setdefault(place, found)))
    return True


def unwrap(place: str) -> None:
    """Leave it to mitmproxy again."""
    if place in _originals:
        owner, name = _find(place)
        setattr(owner, name, _originals.pop(place))


def _find(place: str) -> tuple[Any, str]:
    module, _, path = place.partition(":")
    *owners, name = path.split(".")
    owner: Any = import_module(module)
    for one in owners:
        owner = getattr(owner, one)
    return owner, name
