"""Ask one of docker's credential helpers (docker-credential-helpers, 'Development')."""

import json
import os
import re
import signal
import subprocess
from contextlib import suppress

from metahub_addon.credentials import Credentials

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MAX_ANSWER = 65536
# What a helper prints, with exit code 1, if it has nothing for a server.
_NOT_FOUND = b"credentials not found in native keychain"
_IDENTITY_TOKEN = "<token>"  # noqa: S105 (the user name that says so)


class HelperError(Exception):
    """A helper that did not do its work; the message names it, and nothing that it printed."""


def ask_helper(name: str, server: str, seconds: float = 10.0) -> Credentials | None:
    """What `docker-credential-<name>` has for a server; None: nothing.

    Blocks for at most `seconds`. Raises HelperError.
    """
    if not _NAME.fullmatch(name):
        raise HelperError(f"{name!r} is no credential helper's name")
    command = f"docker-credential-{name}"
    code, printed = _run(command, server, seconds)
    if code:
        if printed.strip() == _NOT_FOUND:
            return None
        raise HelperError(f"{command} get: exit code {code} for {server!r}")
    if len(printed) > _MAX_ANSWER:
        raise HelperError(f"{command} get: printed more than {_MAX_ANSWER} bytes")
    return _read(command, printed)


def _run(command: str, server: str, seconds: float) -> tuple[int, bytes]:
    try:
        process = subprocess.Popen(  # noqa: S603 (the operator's own helper, without a shell)
            [command, "get"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it may hold secrets
            start_new_session=True,
        )
    except OSError as error:
        raise HelperError(f"{command} cannot be run: {error.strerror}") from None
    with process:
        try:
            printed, _ = process.communicate(server.encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            raise HelperError(f"{command} get: no answer within {seconds:g} s") from None
        finally:
            with suppress(OSError):  # what it started must not outlive it
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, printed


def _read(command: str, printed: bytes) -> Credentials | None:
    try:
        answer = json.loads(printed)
        username, secret = answer.get("Username", ""), answer.get("Secret", "")
    except (ValueError, AttributeError, RecursionError):
        # The error's own text and the document in it quote the answer.
        raise HelperError(f"{command} get: printed no JSON object") from None
    if not isinstance(username, str) or not isinstance(secret, str):
        raise HelperError(f"{command} get: Username and Secret are no strings")
    if not secret:
        return None
    if username == _IDENTITY_TOKEN:
        return Credentials(identity_token=secret)
    return Credentials(username=username, password=secret)
