"""A profile's file, taken up again whenever it changes."""

import logging
import os
from functools import cache
from pathlib import Path
from threading import Lock

from metahub_addon.detect import Detection, detect, detect_platform
from metahub_addon.machine import MachineType
from metahub_addon.own_detection import complete
from metahub_addon.probe import Probe
from metahub_addon.profile_parser import InvalidProfile, Profile, parse_profile
from metahub_addon.this_host import ThisHost

logger = logging.getLogger(__name__)

_Signature = tuple[int, int, int] | None


def read_profile(path: Path, probe: Probe) -> Profile:
    """Read and parse a profile; raises InvalidProfile, also for a file that can't be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise InvalidProfile(f"{path}: cannot be read: {reason}") from error
    return parse_profile(text, str(path), lambda: detect_platform(probe))


def load_profile(path: Path, metadata: bool = True) -> MachineType:
    """Read a profile and run the detection that it wants; raises InvalidProfile.

    What cannot be detected is a warning in the log: the machine type does without.
    """
    probe = ThisHost()

    @cache
    def this_host() -> Detection:
        return detect(probe, metadata)

    machine, warnings = complete(read_profile(path, probe), probe, this_host)
    for warning in warnings:
        logger.warning("%s: %s", path, warning)
    return machine


class ProfileFile:
    """The machine type that a file describes.

    The constructor raises InvalidProfile; later a broken file is reported once for
    each change, and the last good profile stays.
    """

    def __init__(self, path: Path, metadata: bool = True) -> None:
        self._path = path
        self._metadata = metadata
        self._lock = Lock()
        self._signature = self._sign()
        self.machine = load_profile(path, metadata)

    def is_stale(self) -> bool:
        """True if the file has changed since it was read; costs a stat."""
        return self._sign() != self._signature

    def current(self) -> MachineType:
        """The machine type; reads the file if it has changed, and may run its commands."""
        with self._lock:  # one after the other: the newest is taken up last
            signature = self._sign()
            if signature != self._signature:
                self._signature = signature
                self._take_up()
            return self.machine

    def _take_up(self) -> None:
        try:
            self.machine = load_profile(self._path, self._metadata)
        except InvalidProfile as error:
            logger.warning("%s (the last good profile, %s, stays)", error, self.machine.name)
        else:
            logger.info("%s: taken up, machine type %s", self._path, self.machine.name)

    def _sign(self) -> _Signature:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
