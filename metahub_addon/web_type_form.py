"""A machine type as the fields of a form, and back as what stands in the hub's file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from metahub_addon.machine import Gpus, MachineType, MatchMode, Otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeForm:
    """What is written in the form; lists stand one a line, `compare` as `key: way`."""

    name: str = ""
    platform: str = ""
    features: str = ""
    prefer: str = ""
    compare: str = ""
    match: str = MatchMode.COMPATIBLE.value
    otherwise: str = Otherwise.INDEX.value
    gpus: str = Gpus.EVERY.value
    cpu_flags: str = ""

    @property
    def has_more(self) -> bool:
        """True if a field is filled that most machine types leave empty."""
        plain = TypeForm(name=self.name, platform=self.platform, features=self.features)
        return self != plain


FIELDS = tuple(field.name for field in fields(TypeForm))
CHOICES: Mapping[str, tuple[str, ...]] = {
    "match": tuple(MatchMode),
    "otherwise": tuple(Otherwise),
    "gpus": tuple(Gpus),
}
# The key's path in `file:line: types[3].features[0]: what`.
_PATH = re.compile(r"(?:^|:\d+: )(?P<path>[\w.\[\]-]+): ")
_SENT = re.compile(r"^request:\d+: ")
_WORD = re.compile(r"[a-z_]+")


def form_of(machine: MachineType) -> TypeForm:
    """The form that shows a machine type."""
    return TypeForm(
        name=machine.name,
        platform=str(machine.platform),
        features="\n".join(map(str, machine.features)),
        prefer="\n".join(machine.prefer),
        compare="\n".join(f"{key}: {way}" for key, way in machine.compare.items()),
        match=machine.match.value,
        otherwise=machine.otherwise.value,
        gpus=machine.gpus.value,
        cpu_flags=" ".join(sorted(machine.cpu_flags)),
    )


def type_text(form: TypeForm) -> Mapping[str, Any]:
    """The machine type as it stands in the file; the hub judges whether it is one.

    Fields that are empty, or as they are by default, are left out.
    """
    text: dict[str, Any] = {"name": form.name.strip()}
    if form.platform.strip():
        text["platform"] = form.platform.strip()
    text["features"] = _words(form.features)
    if form.prefer.strip():
        text["prefer"] = _words(form.prefer)
    if form.compare.strip():
        text["compare"] = dict(_pair(line) for line in form.compare.splitlines() if line.strip())
    plain = TypeForm()
    for key in CHOICES:
        if getattr(form, key) != getattr(plain, key):
            text[key] = getattr(form, key)
    if form.cpu_flags.strip():
        text["cpu_flags"] = " ".join(form.cpu_flags.split())
    return text


def field_of(error: str) -> str:
    """The field that an error (`file:line: key: what`) is about; empty: none for sure."""
    found = _PATH.search(error)
    words = _WORD.findall(found["path"]) if found else []
    return next((word for word in words if word in FIELDS), "")


def without_source(error: str) -> str:
    """The error without the file that it is in, where that is what was just sent."""
    return _SENT.sub("", error)


def _words(text: str) -> list[str]:
    """What is divided by lines, commas or spaces: no feature holds one of these."""
    return text.replace(",", " ").split()


def _pair(line: str) -> tuple[str, str]:
    key, _, way = line.partition(":")
    return key.strip(), way.strip()
