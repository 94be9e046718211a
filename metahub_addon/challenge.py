"""Read what a server wants to see: WWW-Authenticate (RFC 9110, 11.6.1)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MAX_HEADER = 8192
_MAX_CHALLENGES = 16
_MAX_PARAMETERS = 32
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (RFC 9110, 5.6.2: a word's grammar)
_END = r"(?=[ \t]*(?:,|\Z))"
_SEPARATOR = re.compile(r"[ \t]*(?:,[ \t]*)*")
_PARAMETER = re.compile(
    rf'(?P<name>{_TOKEN})[ \t]*=[ \t]*(?:(?P<token>{_TOKEN})|"(?P<quoted>(?:[^"\\]|\\.)*)")'
    rf"{_END}",
    re.DOTALL,
)
# A scheme alone, or with a token68, which no registry uses: read over.
_SCHEME = re.compile(rf"(?P<scheme>{_TOKEN})(?:[ \t]+[0-9A-Za-z._~+/-]+=*{_END}|{_END}|[ \t]+)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in; `scheme` and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """The challenges of a header, in its order.

    Reading ends at what breaks the grammar, and at a challenge that names a parameter twice
    or is more than a sane server sends: what stands before it counts.
    """
    if len(header) > MAX_HEADER:
        return ()
    found: list[Challenge] = []
    at = _skip(header, 0)
    while at < len(header) and len(found) < _MAX_CHALLENGES:
        scheme = _SCHEME.match(header, at)
        if scheme is None:
            break
        parameters, at = _parameters(header, _skip(header, scheme.end()))
        if parameters is None:
            break
        found.append(Challenge(scheme["scheme"].lower(), MappingProxyType(parameters)))
    return tuple(found)


def _parameters(header: str, at: int) -> tuple[dict[str, str] | None, int]:
    """The parameters that start here, None for a breach, and where the next challenge starts."""
    parameters: dict[str, str] = {}
    while (found := _PARAMETER.match(header, at)) is not None:
        name = found["name"].lower()
        if name in parameters or len(parameters) == _MAX_PARAMETERS:
            return None, at
        quoted = found["quoted"]
        parameters[name] = found["token"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        at = _skip(header, found.end())
    return parameters, at


def _skip(header: str, at: int) -> int:
    separator = _SEPARATOR.match(header, at)
    return separator.end() if separator else at
