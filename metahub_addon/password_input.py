"""Where the commands get an account's name and password from: options, a pipe, a terminal."""

import sys
from pathlib import Path

import click

from metahub_addon.credentials import Credentials

# Characters; bcrypt takes no more than 72 bytes of a password, tokens may be longer.
_MAX_PASSWORD = 4096


class NoPassword(ValueError):
    """There is no name or password to be had; the message says what to give."""


def read_credentials(user: str | None, from_stdin: bool, file: Path | None) -> Credentials:
    """What to log in with; asks on a terminal for what is not given. Raises NoPassword."""
    if from_stdin and file:
        raise NoPassword("--password-stdin and --password-file: give one of them")
    if user is None and (from_stdin or not sys.stdin.isatty()):
        raise NoPassword("--user is missing, and there is no terminal to ask at")
    name: str = click.prompt("Account") if user is None else user
    # RFC 7617: a name ends at the first colon.
    if not name or ":" in name or not name.isprintable():
        raise NoPassword("--user: an account's name is printable and holds no colon")
    return Credentials(username=name, password=_read(name, from_stdin, file))


def read_new_password() -> str:
    """A password to be: asked for twice on a terminal, else a line of standard input.

    Raises NoPassword.
    """
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    return _line(sys.stdin.read(_MAX_PASSWORD + 1), "standard input")


def _read(name: str, from_stdin: bool, file: Path | None) -> str:
    if from_stdin:
        return _line(sys.stdin.read(_MAX_PASSWORD + 1), "standard input")
    if file:
        try:
            with file.open(encoding="utf-8") as opened:
                return _line(opened.read(_MAX_PASSWORD + 1), str(file))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
            raise NoPassword(f"{file}: {reason}") from None
    if sys.stdin.isatty():
        typed: str = click.prompt(f"Password of {name}", hide_input=True)
        return typed
    raise NoPassword("no terminal to ask for the password at: use --password-stdin")


def _line(text: str, source: str) -> str:
    """A password as files and pipes hold it, with or without an end of line."""
    line = text.removesuffix("\n").removesuffix("\r")
    if not line:
        raise NoPassword(f"{source}: holds no password")
    if "\n" in line or len(line) > _MAX_PASSWORD:
        raise NoPassword(f"{source}: holds more than a password")
    return line
