"""Files of authorities' certificates, taken up again whenever they change."""

import logging
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from metahub_addon.client_certificates import ShownCertificate, is_issued_by, read_authorities
from metahub_addon.printable import printable

logger = logging.getLogger(__name__)

_MAX_BYTES = 1024 * 1024

_Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was when it was read; one that is broken has no certificates."""

    signature: _Signature
    certificates: Sequence[x509.Certificate]


class AuthorityFiles:
    """Judges by the authorities in files. A file is read when it has changed, else only looked at.

    One that can't be read has issued nothing; a warning says so, once.
    """

    def __init__(self) -> None:
        self._read: dict[str, _Read] = {}
        self._faults: dict[str, str] = {}

    def has_issued(self, path: str, shown: ShownCertificate) -> bool:
        """True if an authority in a file has issued a certificate that is valid now."""
        try:
            certificates = self._certificates(path)
        except OSError as error:
            # Not kept as read: what makes it readable may leave the file as it is.
            self._warn(path, f"cannot be read: {error.strerror}")
            return False
        self._faults.pop(path, None)
        return is_issued_by(shown, certificates)

    def _certificates(self, path: str) -> Sequence[x509.Certificate]:
        status = os.stat(path)
        signature = status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
        read = self._read.get(path)
        if read is None or read.signature != signature:
            read = self._read[path] = _Read(signature, self._parsed(path, status))
        return read.certificates

    def _parsed(self, path: str, status: os.stat_result) -> Sequence[x509.Certificate]:
        try:
            # The event loop would wait for the end of a pipe.
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                raise ValueError(f"is no file of at most {_MAX_BYTES} bytes")
            return read_authorities(Path(path).read_bytes())
        except ValueError as error:
            self._warn(path, str(error))
            return ()

    def _warn(self, path: str, fault: str) -> None:
        if self._faults.get(path) != fault:
            logger.warning("authority: %s: %s", printable(path), printable(fault))
        self._faults[path] = fault
