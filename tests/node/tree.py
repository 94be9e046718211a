"""What has changed in a root that is an overlay: its upper folder names all candidates."""

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

OPAQUE = "trusted.overlay.opaque"


def state(file: Path) -> str:
    """Kind, mode, owner and content of a file, comparable as text; empty if there is none."""
    try:
        found = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    kind = stat.S_IFMT(found.st_mode)
    content = ""
    if kind == stat.S_IFLNK:
        content = os.readlink(file)
    elif kind == stat.S_IFREG:
        content = hashlib.sha256(file.read_bytes()).hexdigest()
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        content = str(found.st_rdev)
    names = [n for n in os.listxattr(file, follow_symlinks=False) if not n.startswith("trusted.")]
    attributes = {n: os.getxattr(file, n, follow_symlinks=False).hex() for n in sorted(names)}
    return f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid} {content} {attributes}"


def touched(upper: Path, lower: Path) -> Iterator[str]:
    """The paths that may differ from the layer below: made, changed or removed."""
    for folder, folders, files in os.walk(upper):
        for name in (*folders, *files):
            path = Path(folder, name)
            relative = str(path.relative_to(upper))
            yield relative
            below = lower / relative
            if below.is_dir() and not below.is_symlink() and _hides(path):
                yield from (str(inner.relative_to(lower)) for inner in below.rglob("*"))


def _hides(path: Path) -> bool:
    """True if an entry of the upper folder hides the folder below it: no merged folder."""
    if path.is_symlink() or not path.is_dir():
        return True
    return OPAQUE in os.listxattr(path)


def snapshot(root: Path, upper: Path, lower: Path) -> dict[str, str]:
    """The state of each path that may differ from the layer below."""
    return {path: state(root / path) for path in touched(upper, lower)}


def differences(
    before: Mapping[str, str], after: Mapping[str, str], lower: Path
) -> dict[str, tuple[str, str]]:
    """Paths whose state differs between two snapshots, with both states."""
    found = {}
    for path in sorted({*before, *after}):
        # What a snapshot does not name was then as it is in the layer below.
        old = before[path] if path in before else state(lower / path)
        new = after[path] if path in after else state(lower / path)
        if old != new:
            found[path] = (old, new)
    return found


def outside(paths: Iterable[str], folders: Collection[str]) -> list[str]:
    """The paths that are neither these folders nor below one of them."""
    return [p for p in paths if not any(f"{p}/".startswith(f"{folder}/") for folder in folders)]
