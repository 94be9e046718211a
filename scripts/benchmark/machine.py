"""What the figures were measured on, and with."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

PROGRAMS: dict[str, Sequence[str]] = {
    "docker": ("dockerd", "--version"),
    "nginx": ("nginx", "-v"),
    "docker-registry": ("docker-registry", "--version"),
    "curl": ("curl", "--version"),
    "openssl": ("openssl", "version"),
}


def describe() -> dict[str, str]:
    """CPU, cores, memory and kernel; versions of all that took part."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = {
        "CPU": cpu_model(Path("/proc/cpuinfo").read_text()) or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{total / 1024**3:.0f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "mitmproxy": version("mitmproxy"),
        "metahub-addon": version("metahub-addon"),
    }
    for name, command in PROGRAMS.items():
        if shutil.which(command[0]):
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
            found[name] = version_in((done.stdout or done.stderr).strip())
    return found


def cpu_model(cpuinfo: str) -> str:
    """The first model name in a /proc/cpuinfo; empty where there is none (most ARM)."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return ""


def version_in(text: str) -> str:
    """The first word of a program's first line that has a digit and a dot."""
    words = text.partition("\n")[0].replace("/", " ").replace(",", " ").split()
    return next((word for word in words if word[0].isdigit() and "." in word), text[:40])
