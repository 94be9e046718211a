"""The secret that signs the page's sessions: from a file that replicas share, or a new one."""

import logging
import os
import secrets
import stat
from pathlib import Path

logger = logging.getLogger("metahub")

_MIN_BYTES = 32
_MAX_BYTES = 4096


class SecretError(Exception):
    """A file that holds no secret; the message names the file and never what it holds."""


class WebSecret:
    """Reads the file again when it changes; warns once of one that others can read."""

    def __init__(self) -> None:
        self._own = secrets.token_bytes(_MIN_BYTES)
        self._state: tuple[str, int, int, int] | None = None
        self._read = b""

    def of(self, path: str) -> bytes:
        """The secret in a file (empty path: this process's own); raises SecretError."""
        if not path:
            return self._own
        try:
            status = os.stat(path)
            state = path, status.st_ino, status.st_mtime_ns, status.st_size
            if state != self._state:
                self._read = _read(Path(path))
                self._state = state
                if status.st_mode & stat.S_IROTH:
                    # Who knows the secret can log in as anybody.
                    logger.warning("secret_file: %s: all users here can read it", path)
        except OSError as error:
            raise SecretError(f"secret_file: {path}: {error.strerror}") from None
        return self._read


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        secret = file.read(_MAX_BYTES + 1).strip()
    if not _MIN_BYTES <= len(secret) <= _MAX_BYTES:
        raise SecretError(f"secret_file: {path}: is not {_MIN_BYTES} to {_MAX_BYTES} bytes long")
    return secret
