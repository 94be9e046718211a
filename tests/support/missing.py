"""What this machine lacks for tests that drive real parts."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

UNSHARE = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Where to find what a file stands for.
FILES = {"/bin/busybox": "busybox-static", "/lib/systemd/systemd": "systemd"}


def missing_part(
    commands: Iterable[str],
    files: Iterable[str] = (),
    probes: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The first of root, commands, files and probes that is not there; empty if all are.

    A probe is a command that is run in throw-away namespaces, by what it stands for.
    """
    if os.geteuid() != 0:
        return "root"
    for command in commands:
        if shutil.which(command) is None:
            return f"the command {command}"
    for file in files:
        if not Path(file).exists():
            return f"{file} ({FILES[file]})"
    for what, probe in (probes or {}).items():
        done = subprocess.run(
            [*UNSHARE, *probe], capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode:
            return f"{what} ({done.stderr.strip()[:200]})"
    return ""
