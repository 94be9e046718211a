"""Image compatibility as Node Feature Discovery specifies it: parse, and hold against a node.

Source: NFD, 'Image Compatibility Artifact' (v1alpha1) and 'NodeFeatureRule' (matchFeatures,
matchAny, matchExpressions, matchName and their operators).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import yaml

ARTIFACT_TYPE = "application/vnd.nfd.image-compatibility.v1alpha1"
SPEC_TYPE = "application/vnd.nfd.image-compatibility.spec.v1alpha1+yaml"
MAX_SPEC_BYTES = 64 * 1024
_MAX_TERMS = 1024
_MAX_DEPTH = 32


class InvalidSpec(ValueError):
    """A text that is no compatibility specification; the message starts with the key."""


@dataclass(frozen=True, slots=True)
class NodeFeatures:
    """A node by NFD's names: for each feature its elements, one mapping for each instance.

    A flag is an element with an empty value. What is not listed is not known.
    """

    instances: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expression:
    """An operator and its values, for an element's value or (in `matchName`) its name."""

    op: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """What one feature has to show: all expressions hold in one instance."""

    feature: str
    expressions: tuple[tuple[str, Expression], ...]
    name: Expression | None


@dataclass(frozen=True, slots=True)
class Rule:
    """All terms, and (where there are any) all terms of one of the alternatives."""

    name: str
    terms: tuple[Term, ...]
    alternatives: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True, slots=True)
class CompatibilitySet:
    """Rules that all have to hold."""

    description: str
    rules: tuple[Rule, ...]


def parse_spec(body: bytes) -> tuple[CompatibilitySet, ...]:
    """Read a specification; raises InvalidSpec, also for operators that are not known."""
    if len(body) > MAX_SPEC_BYTES:
        raise InvalidSpec(f"specification: has more than {MAX_SPEC_BYTES} bytes")
    try:
        _check_size(body)
        # Every scalar as it is written: nothing is converted, so nothing can fail to be.
        return _parse(yaml.load(body, Loader=yaml.BaseLoader))  # noqa: S506 (builds strings only)
    except InvalidSpec:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidSpec(f"specification: is not YAML ({type(error).__name__})") from error


def _check_size(body: bytes) -> None:
    """Refuse what is small to send and large to look at: aliases, and endless nesting."""
    depth = 0
    for event in yaml.parse(body, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise InvalidSpec("specification: holds an alias")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise InvalidSpec(f"specification: is nested deeper than {_MAX_DEPTH}")


def _parse(value: object) -> tuple[CompatibilitySet, ...]:
    document = _mapping(value, "specification")
    if document.get("version") != "v1alpha1":
        raise InvalidSpec("version: is not v1alpha1")
    sets = _list(document.get("compatibilities"), "compatibilities")
    parsed = tuple(_set(one, f"compatibilities[{at}]") for at, one in enumerate(sets))
    terms = sum(
        len(rule.terms) + sum(map(len, rule.alternatives)) for one in parsed for rule in one.rules
    )
    if terms > _MAX_TERMS:
        raise InvalidSpec(f"compatibilities: has more than {_MAX_TERMS} terms")
    return parsed


def refusal(sets: Sequence[CompatibilitySet], node: NodeFeatures) -> str:
    """Why an image does not run on a node; empty if all rules of one of its sets hold."""
    reasons = [_first_failing(one, node) for one in sets]
    if not reasons or "" in reasons:
        return ""
    return "; ".join(dict.fromkeys(reasons))


def _first_failing(one: CompatibilitySet, node: NodeFeatures) -> str:
    named = f" of {one.description!r}" if one.description else ""
    failing = next((rule for rule in one.rules if not _holds(rule, node)), None)
    return f"NFD's rule {failing.name!r}{named} does not hold" if failing else ""


def _holds(rule: Rule, node: NodeFeatures) -> bool:
    if not all(_shows(term, node) for term in rule.terms):
        return False
    any_of = [all(_shows(term, node) for term in terms) for terms in rule.alternatives]
    return not any_of or any(any_of)


def _shows(term: Term, node: NodeFeatures) -> bool:
    return any(_matches(term, found) for found in node.instances.get(term.feature, ()))


def _matches(term: Term, found: Mapping[str, str]) -> bool:
    if term.name and not any(_evaluate(term.name, name) for name in found):
        return False
    return all(_evaluate(wanted, found.get(name)) for name, wanted in term.expressions)


def _evaluate(wanted: Expression, value: str | None) -> bool:
    if wanted.op in ("", "DoesNotExist"):
        return not wanted.op or value is None
    if value == "" and wanted.op != "Exists":
        return False  # a flag has no value to be held against
    return value is not None and _OPERATORS[wanted.op](value, wanted.values)


def _in_regexp(value: str, wanted: tuple[str, ...]) -> bool:
    return any(re.search(pattern, value) for pattern in wanted)


def _numbers(value: str, wanted: tuple[str, ...]) -> tuple[int, ...]:
    """All as numbers; none if one of them is not."""
    try:
        return tuple(int(text) for text in (value, *wanted))
    except ValueError:
        return ()


def _compare(of: Callable[[int, int], bool]) -> Callable[[str, tuple[str, ...]], bool]:
    def compare(value: str, wanted: tuple[str, ...]) -> bool:
        numbers = _numbers(value, wanted)
        return len(numbers) == 2 and of(*numbers)

    return compare


def _between(of: Callable[[int, int, int], bool]) -> Callable[[str, tuple[str, ...]], bool]:
    def between(value: str, wanted: tuple[str, ...]) -> bool:
        numbers = _numbers(value, wanted)
        return len(numbers) == 3 and of(numbers[1], numbers[0], numbers[2])

    return between


_OPERATORS: Mapping[str, Callable[[str, tuple[str, ...]], bool]] = {
    "In": lambda value, wanted: value in wanted,
    "NotIn": lambda value, wanted: value not in wanted,
    "InRegexp": _in_regexp,
    "Exists": lambda _value, _wanted: True,
    "DoesNotExist": lambda _value, _wanted: False,
    "Gt": _compare(lambda value, wanted: value > wanted),
    "Lt": _compare(lambda value, wanted: value < wanted),
    "Ge": _compare(lambda value, wanted: value >= wanted),
    "Le": _compare(lambda value, wanted: value <= wanted),
    "GtLt": _between(lambda low, value, high: low < value < high),
    "GeLe": _between(lambda low, value, high: low <= value <= high),
    "IsTrue": lambda value, _wanted: value == "true",
    "IsFalse": lambda value, _wanted: value == "false",
}


def _set(value: object, path: str) -> CompatibilitySet:
    given = _mapping(value, path)
    rules = _list(given.get("rules"), f"{path}.rules")
    return CompatibilitySet(
        description=str(given.get("description") or given.get("tag") or "")[:200],
        rules=tuple(_rule(one, f"{path}.rules[{at}]") for at, one in enumerate(rules)),
    )


def _rule(value: object, path: str) -> Rule:
    given = _mapping(value, path)
    any_of = _list(given.get("matchAny") or [], f"{path}.matchAny")
    return Rule(
        name=str(given.get("name", ""))[:200],
        terms=_terms(given, path),
        alternatives=tuple(
            _terms(_mapping(one, f"{path}.matchAny[{at}]"), f"{path}.matchAny[{at}]")
            for at, one in enumerate(any_of)
        ),
    )


def _terms(given: Mapping[object, object], path: str) -> tuple[Term, ...]:
    path = f"{path}.matchFeatures"
    listed = _list(given.get("matchFeatures") or [], path)
    return tuple(_term(one, f"{path}[{at}]") for at, one in enumerate(listed))


def _term(value: object, path: str) -> Term:
    given = _mapping(value, path)
    feature, name = given.get("feature"), given.get("matchName")
    if not isinstance(feature, str):
        raise InvalidSpec(f"{path}.feature: is not a string")
    listed = _mapping(given.get("matchExpressions") or {}, f"{path}.matchExpressions")
    return Term(
        feature=feature,
        expressions=tuple(
            (str(element), _expression(one, f"{path}.matchExpressions.{str(element)!r}"))
            for element, one in listed.items()
        ),
        name=_expression(name, f"{path}.matchName") if name else None,
    )


def _expression(value: object, path: str) -> Expression:
    given = _mapping(value, path)
    op = given.get("op", "")
    if not isinstance(op, str) or (op and op not in _OPERATORS):
        raise InvalidSpec(f"{path}.op: is not one of {', '.join(_OPERATORS)}")
    values = tuple(map(str, _list(given.get("value") or [], f"{path}.value")))
    if op == "InRegexp":
        for pattern in values:
            _check_pattern(pattern, path)
    return Expression(op, values)


def _check_pattern(pattern: str, path: str) -> None:
    # An image's author is a stranger, and matching stops everything else: only patterns
    # that cannot take long (two quantifiers, none of a group, two alternatives).
    loops = sum(map(pattern.count, "*+?"))
    involved = loops > 2 or pattern.count("|") > 2 or re.search(r"\{|\)[*+?]", pattern)
    if len(pattern) > 128 or involved:
        raise InvalidSpec(f"{path}.value: is too involved a pattern")
    try:
        re.compile(pattern)
    except re.error as error:
        raise InvalidSpec(f"{path}.value: is no pattern: {error}") from error


def _mapping(value: object, path: str) -> Mapping[object, object]:
    if not isinstance(value, dict):
        raise InvalidSpec(f"{path}: is not a mapping")
    return value


def _list(value: object, path: str) -> list[object]:
    if not isinstance(value, list):
        raise InvalidSpec(f"{path}: is not a list")
    return value
