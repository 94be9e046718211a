"""The page's own key and certificate, which may be renewed while it serves."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

logger = logging.getLogger("metahub")

_RENEW_SECONDS = 60.0


class InvalidCertificate(ValueError):
    """A file without a key and its certificate; the message names it and says why."""


def read_certificate(path: str) -> ssl.SSLContext:
    """TLS 1.2 or later with the key and chain in a PEM file; raises InvalidCertificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        _load(context, path)
    except (OSError, ValueError) as error:
        raise InvalidCertificate(f"{path}: holds no key and certificate ({_why(error)})") from None
    return context


async def renew_certificate(
    context: ssl.SSLContext,
    path: str,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Take up what is renewed in place, for ever; something broken leaves the last one."""
    known = _state(path)
    while True:
        await sleep(_RENEW_SECONDS)
        state = _state(path)
        if state == known:
            continue
        known = state
        try:
            read_certificate(path)  # what is half written must not reach the one in use
            _load(context, path)
        except (OSError, ValueError) as error:
            logger.warning("the last certificate stays: %s", error)
        else:
            logger.info("%s: the certificate is read anew", path)


def _load(context: ssl.SSLContext, path: str) -> None:
    # Without a password of its own, OpenSSL would ask for one on the terminal.
    context.load_cert_chain(Path(path).expanduser(), password="")


def _state(path: str) -> tuple[int, int] | None:
    try:
        status = Path(path).expanduser().stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino


def _why(error: Exception) -> str:
    """The cause in a few words; OpenSSL's own, which name no content."""
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or "unreadable")
