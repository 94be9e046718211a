"""What the parsers of profiles and of a hub's file share: keys, names, lists and paths."""

from collections.abc import Collection, Mapping, Sequence

from metahub_addon.strict_yaml import Value


def strict_keys(value: Value, known: Sequence[str]) -> Mapping[str, Value]:
    """The values of a mapping by key; raises InvalidYaml for a key that is not known."""
    given = value.mapping()
    for key, item in given.items():
        if key not in known:
            raise item.error(f"unknown key, known are {', '.join(known)}")
    return given


def required(value: Value, given: Mapping[str, Value], key: str) -> Value:
    """What a key of `value` holds; raises InvalidYaml if it is missing."""
    if key not in given:
        raise value.error(f"{key} is missing")
    return given[key]


def name_in(value: Value, known: Collection[str], kind: str) -> str:
    """The text of a value that names something known; raises InvalidYaml."""
    if value.text() not in known:
        raise value.error(f"{value.text()!r} is no {kind} of this file")
    return value.text()


def unique_texts(value: Value) -> tuple[str, ...]:
    """The texts of a list; raises InvalidYaml for one that is given twice."""
    texts: list[str] = []
    for item in value.items():
        if item.text() in texts:
            raise item.error(f"{item.text()} is given twice")
        texts.append(item.text())
    return tuple(texts)


def absolute_path(value: Value) -> str:
    """The text of a value that is an absolute path; raises InvalidYaml."""
    if not value.text().startswith("/"):
        raise value.error("is no absolute path")
    return value.text()
