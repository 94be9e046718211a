"""The program on a node: one version of it, with what starts and stops it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

from installer.facts import Source
from installer.layout import CONFIG, PROGRAM, STATE
from installer.node import Node
from installer.problem import Problem
from installer.states import remove, write_whole

# They run on their own: what starts and stops the service calls them.
PROGRAMS = ("drain.py", "trust_bundle.py")


@dataclass(frozen=True, slots=True)
class Environment:
    """The program: a virtual environment with one version of it, and what starts and stops it."""

    source: Source
    venv_package: str
    kind: ClassVar[str] = "tree"

    @property
    def folder(self) -> PurePosixPath:
        """Where it lies; no version lies where another did."""
        return PROGRAM / self.source.version

    @property
    def key(self) -> str:
        """Its folder."""
        return str(self.folder)

    @property
    def touched(self) -> tuple[str, ...]:
        """Nothing that was there before."""
        return ()

    def is_done(self, node: Node) -> bool:
        """True if it was made to its end."""
        return node.path(self.folder / "complete").exists()

    def apply(self, node: Node) -> None:
        """Make it, of a copy of the checkout: a build leaves files in its source."""
        folder, work = node.path(self.folder), node.path(STATE / "work")
        for stale in (folder, work):
            remove(stale)
        work.mkdir()
        try:
            self._build(node, work)
            self._add_programs(node)
        finally:
            remove(work)
        if relabel := node.which("restorecon"):
            node.must(relabel, "-R", str(PROGRAM))
        (folder / "complete").touch()

    def _build(self, node: Node, work: Path) -> None:
        copy = work / "source"
        ignored = shutil.ignore_patterns("__pycache__")
        package = self.source.folder / "metahub_addon"
        shutil.copytree(package, copy / package.name, ignore=ignored)
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(self.source.folder / name, copy)
        try:
            node.must(self.source.python, "-m", "venv", str(self.folder))
        except Problem as error:
            raise Problem(
                f"no virtual environment ({self.venv_package} may help): {error}"
            ) from error
        # A cache in root's home would stay behind; one that is named is wanted.
        cache = () if os.environ.get("PIP_CACHE_DIR") else ("--no-cache-dir",)
        pip = (f"{self.folder}/bin/python", "-m", "pip", "install", "--quiet", *cache)
        node.must(*pip, str(copy), TMPDIR=str(work), PIP_DISABLE_PIP_VERSION_CHECK="1")

    def _add_programs(self, node: Node) -> None:
        folder = node.path(self.folder)
        major, minor = self.source.python_version
        addon = f"lib/python{major}.{minor}/site-packages/metahub_addon/addon.py"
        if not (folder / addon).exists():
            raise Problem(f"{self.folder / addon}: pip has not installed it")
        # Names its own version: a switch of `current` must not reach into a running proxy.
        launcher = (
            f"#!/bin/sh\nexec {self.folder}/bin/mitmdump -s {self.folder}/{addon} "
            f"--set confdir={CONFIG}\n"
        )
        write_whole(folder / "bin" / "metahub-proxy", launcher.encode(), 0o755)
        (folder / "libexec").mkdir()
        for name in PROGRAMS:
            program = self.source.folder / "scripts" / "installer" / name
            write_whole(folder / "libexec" / name, program.read_bytes(), 0o644)

    def __str__(self) -> str:
        return f"{self.folder}: the program, by {self.source.python}"
