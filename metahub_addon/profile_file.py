"""A profile's file, taken up again whenever it changes."""

import logging
import os
from pathlib import Path

from metahub_addon.detect import detect_platform
from metahub_addon.machine import InvalidProfile, MachineType, parse_profile

logger = logging.getLogger(__name__)

_Signature = tuple[int, int, int] | None


def load_profile(path: Path) -> MachineType:
    """Read and parse a profile; raises InvalidProfile, also for a file that can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise InvalidProfile(f"{path}: cannot be read: {reason}") from error
    return parse_profile(text, str(path), detect_platform)


class ProfileFile:
    """The machine type that a file describes, now.

    The constructor raises InvalidProfile; later a broken file is reported once for
    each change, and the last good profile stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature = self._sign()
        self._machine = load_profile(path)

    def current(self) -> MachineType:
        """The machine type; costs a stat, and a read if the file has changed."""
        signature = self._sign()
        if signature != self._signature:
            self._signature = signature
            try:
                self._machine = load_profile(self._path)
            except InvalidProfile as error:
                logger.warning("%s (the last good profile, %s, stays)", error, self._machine.name)
            else:
                logger.info("%s: taken up, machine type %s", self._path, self._machine.name)
        return self._machine

    def _sign(self) -> _Signature:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
