"""Wheels of what the program depends on: an install in a root without a network takes them."""

import configparser
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = ("setuptools>=64", "wheel")


def system_python() -> str:
    """The Python that an install as root finds; empty if there is none that can make venvs."""
    found = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or ""
    needs = "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))"
    fits = found and subprocess.run([found, "-c", needs], check=False).returncode == 0
    return found if fits else ""


def collect_wheels(python: str) -> Path:
    """The folder with wheels for a Python, fetched if they have not been.

    It is kept in the user's cache folder. Raises CalledProcessError if pip can't get them.
    """
    declared = configparser.ConfigParser()
    declared.read(REPOSITORY / "setup.cfg")
    requirements = declared["options"]["install_requires"].split("\n")
    wanted = sorted({*BUILD, *(line.replace(" ", "") for line in requirements if line.strip())})
    version = subprocess.run([python, "-VV"], capture_output=True, text=True, check=True).stdout
    key = hashlib.sha256(" ".join([version, *wanted]).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    folder = cache / "metahub-addon-tests" / f"wheels-{key}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            subprocess.run([python, "-m", "venv", f"{work}/venv"], check=True)
            command = [f"{work}/venv/bin/pip", "wheel", "-qq", "--wheel-dir", f"{work}/wheels"]
            subprocess.run([*command, *wanted], check=True)
            Path(work, "wheels").rename(folder)
    return folder
