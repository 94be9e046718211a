"""A detected host as the text of a profile, each fact with its source."""

import os
import tempfile
import textwrap
from pathlib import Path

from metahub_addon.detect import Detection
from metahub_addon.features import Feature
from metahub_addon.printable import printable

_WIDTH = 96


def profile_text(detection: Detection) -> str:
    """The profile that `metahub check` accepts and that reads back as the machine type."""
    machine = detection.machine
    sources = {Feature.parse(str(fact)): fact.source for fact in detection.facts}
    lines = [f"machine_type: {machine.name}", f"platform: {machine.platform}"]
    lines.append("features:" if machine.features else "features: []")
    lines += [
        f"  - {_quoted(str(feature))}  # {printable(sources[feature])}"
        for feature in machine.features
    ]
    if machine.cpu_flags:
        flags = " ".join(sorted(machine.cpu_flags))
        lines.append("# What the kernel shows; a flag that is missing here is one that is lacking.")
        lines.append("cpu_flags: >-")
        lines += textwrap.wrap(flags, _WIDTH, initial_indent="  ", subsequent_indent="  ")
    lines += [f"# not detected: {printable(warning)}" for warning in detection.warnings]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Plain where YAML takes it for a string, else in single quotes."""
    plain = text.replace(":", "").replace("_", "").replace(".", "").replace("-", "")
    return text if plain.isalnum() and plain.isascii() and text[0].isalpha() else _single(text)


def _single(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all; raises OSError."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
