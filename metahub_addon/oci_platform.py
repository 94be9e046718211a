"""Platforms of images and machines: one spelling, and which runs on which.

The spellings and the order are containerd's (its `platforms` package), so that an
image we choose is one that the runtime takes too.
"""

import re
from dataclasses import dataclass

_SYSTEMS = {"macos": "darwin"}
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "aarch64": "arm64",
    "aarch64_be": "arm64be",
    "loongarch64": "loong64",
    "armv7l": "arm",
    "armv6l": "arm",
}
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ARM64 = re.compile(r"v(?P<major>8|9)(?:\.(?P<minor>[0-9]))?")


class InvalidPlatform(ValueError):
    """A text or object that names no platform."""


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system, architecture and variant, normalised."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read `os/architecture[/variant]`; raises InvalidPlatform."""
        parts = text.split("/")
        if len(parts) not in (2, 3):
            raise InvalidPlatform(f"{text!r} is not os/architecture[/variant]")
        return cls.normalised(*parts)

    @classmethod
    def normalised(cls, os: str, architecture: str, variant: str = "") -> "Platform":
        """Build a platform from any known spelling; raises InvalidPlatform."""
        for word in (os, architecture, *([variant] if variant else [])):
            if not _WORD.fullmatch(word):
                raise InvalidPlatform(f"{word!r} is no name of a platform's part")
        os, architecture, variant = os.lower(), architecture.lower(), variant.lower()
        canonical = _ARCHITECTURES.get(architecture, architecture)
        if canonical == "arm64":
            variant = "" if variant in ("8", "v8", "v8.0") else variant
            variant = f"v{variant}" if variant[:1].isdigit() else variant
        elif canonical in ("arm", "armhf", "armel"):
            implied = {"armhf": "7", "armel": "6", "armv6l": "6"}.get(architecture, "7")
            canonical, variant = "arm", "v" + (variant.removeprefix("v") or implied)
        elif canonical == "amd64" and variant == "v1":
            variant = ""
        return cls(_SYSTEMS.get(os, os), canonical, variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def distance(image: Platform, machine: Platform) -> int | None:
    """How far an image's platform is from the machine's; None if it does not run.

    Variants of amd64 are no part of it: they are judged as CPU features.
    """
    if image.os != machine.os:
        return None
    if image.architecture == machine.architecture:
        return _variant_distance(image, machine)
    if (image.architecture, machine.architecture) == ("386", "amd64"):
        return 1000
    if (image.architecture, machine.architecture) == ("arm", "arm64"):
        step = _arm_distance(image.variant, "v8")
        return None if step is None else 1000 + step
    return None


def _variant_distance(image: Platform, machine: Platform) -> int | None:
    if image.architecture == "amd64":
        return 0
    if image.architecture == "arm":
        return _arm_distance(image.variant, machine.variant)
    if image.architecture == "arm64":
        return _arm64_distance(image.variant, machine.variant)
    return 0 if image.variant in ("", machine.variant) else None


def _arm_distance(image: str, machine: str) -> int | None:
    if image == machine:
        return 0
    wanted, has = image.removeprefix("v"), machine.removeprefix("v")
    if not (wanted.isdecimal() and has.isdecimal()):
        return None
    step = int(has) - int(wanted)
    return step if step >= 0 else None


def _arm64_distance(image: str, machine: str) -> int | None:
    if image == machine:
        return 0
    wanted, has = _ARM64.fullmatch(image or "v8"), _ARM64.fullmatch(machine or "v8")
    if wanted is None or has is None:
        return None
    # Armv9.x includes all of Armv8.(x+5): Arm Architecture Reference Manual, A2.
    if wanted["major"] == "9" and has["major"] == "8":
        return None
    step = _arm64_level(has) - _arm64_level(wanted)
    return step if step >= 0 else None


def _arm64_level(variant: "re.Match[str]") -> int:
    return int(variant["minor"] or 0) + (5 if variant["major"] == "9" else 0)
