"""A file replaced as a whole, by one writer at a time."""

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_WAIT_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Keep other writers of a file out; raises OSError, also if one does not end in time.

    Who replaces a file can't lock the file itself: the next would lock what has gone. And
    whatever other users may read, they may lock as well, for ever. So there is a file
    beside it that only its owner can open, and that goes when the lock does.
    """
    target = path.resolve()
    lock = target.with_name(f".{target.name}.lock")
    descriptor = _wait_for(lock)
    try:
        yield
    finally:
        with suppress(OSError):  # the next one takes it as it is
            lock.unlink()  # while it is locked: who waits for it finds that it has gone
        os.close(descriptor)


def _wait_for(lock: Path) -> int:
    end = time.monotonic() + _WAIT_SECONDS
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            if _take(descriptor, lock):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() >= end:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process is changing it")
        time.sleep(_PAUSE_SECONDS)


def _take(descriptor: int, lock: Path) -> bool:
    """Lock a file that was just opened; False if it is another's, or has gone since."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.lstat(lock))
    except (BlockingIOError, FileNotFoundError):
        return False


def replace_file(path: Path, content: bytes) -> os.stat_result:
    """Give a file new content, at once and for good; raises OSError, then all is as before.

    Its owner, mode and access lists stay, or it is not replaced. A symbolic link stays one.
    The result is the status of the new file, whatever has become of it since.
    """
    target = path.resolve()
    before = target.stat()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(descriptor, before.st_uid, before.st_gid)
            shutil.copystat(target, name)
            os.utime(name)  # the content is new
            os.fsync(descriptor)
            after = os.fstat(descriptor)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync(target.parent)
    return after


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
