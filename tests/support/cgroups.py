"""A cgroup of ours in each hierarchy that is mounted here: version 1, version 2, or both."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOUNTS = "/sys/fs/cgroup"


@dataclass(frozen=True)
class Hierarchy:
    """A mounted hierarchy (`options`: its controllers in version 1), and our folder in it."""

    mount: str
    kind: str
    options: str
    folder: str


def mounted() -> Iterator[tuple[str, str, str, str]]:
    """Mount point, root in the hierarchy, type and controllers of each cgroup mount."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split()[:3]
        root, mount = before.split()[3:5]
        if kind in ("cgroup", "cgroup2") and mount.startswith(MOUNTS):
            others = ("rw", "ro", "xattr", "clone_children", "noprefix")
            names = [o for o in options.split(",") if o not in others and "release_agent" not in o]
            yield mount, root, kind, ",".join(names) if kind == "cgroup" else ""


@contextmanager
def own_cgroups(prefix: str) -> Iterator[list[Hierarchy]]:
    """Where a root's cgroups shall be; at the end all of them are removed.

    So are those of earlier processes that were killed before they could do so.
    """
    hierarchies = []
    for mount, root, kind, options in mounted():
        # Below ours, so that its limits hold. Not so in version 2, which gives
        # controllers only to the children of a cgroup without processes.
        own = _path_of_this_process(options).removeprefix(root.rstrip("/")) if options else ""
        for stale in Path(f"{mount}{own}").glob(f"{prefix}-*"):
            if not Path("/proc", stale.name.removeprefix(f"{prefix}-")).exists():
                _remove(stale)
        folder = f"{mount}{own}/{prefix}-{os.getpid()}"
        hierarchies.append(Hierarchy(mount, kind, options, folder))
    try:
        yield hierarchies
    finally:
        for hierarchy in hierarchies:
            _remove(Path(hierarchy.folder))


def join(hierarchies: Iterable[Hierarchy]) -> None:
    """Make the cgroups, and move this process into them."""
    for hierarchy in hierarchies:
        folder = Path(hierarchy.folder)
        folder.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            if hierarchy.kind == "cgroup" and (folder / file).exists():
                (folder / file).write_text((folder.parent / file).read_text())
        (folder / "cgroup.procs").write_text("0")


def _path_of_this_process(controllers: str) -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if set(names.split(",")) == set(controllers.split(",")):
            return path
    return "/"


def _remove(folder: Path) -> None:
    end = time.monotonic() + 10
    while folder.exists():
        try:
            for below, _, _ in os.walk(folder, topdown=False):
                os.rmdir(below)
        except OSError:  # the last processes are on their way out
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
