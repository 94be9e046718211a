from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from metahub_addon.credentials import Credentials
from metahub_addon.password_input import NoPassword, read_credentials, read_new_password


def run(function: object, given: bytes = b"", terminal: bool = False) -> Result:
    """Call a function as a command that is typed at a terminal, or at the end of a pipe."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda self: terminal)
        command = click.Command("command", callback=function)  # type: ignore[arg-type]
        return CliRunner().invoke(command, [], input=given, standalone_mode=False)


def credentials(
    user: str | None = "qnib",
    from_stdin: bool = False,
    file: Path | None = None,
    given: bytes = b"",
    terminal: bool = False,
) -> Credentials:
    result = run(lambda: read_credentials(user, from_stdin, file), given, terminal)
    if result.exception:
        raise result.exception
    assert isinstance(result.return_value, Credentials)
    return result.return_value


@pytest.mark.parametrize("given", [b"a b", b"a b\n", b"a b\r\n"])
def test_a_password_from_a_pipe_or_a_file(given: bytes, tmp_path: Path) -> None:
    expected = Credentials(username="qnib", password="a b")
    assert credentials(from_stdin=True, given=given) == expected
    file = tmp_path / "password"
    file.write_bytes(given)
    assert credentials(file=file) == expected


def test_a_terminal_is_asked_at() -> None:
    assert credentials(given=b"secret\n", terminal=True).password == "secret"
    both = credentials(user=None, given=b"gpu\nsecret\n", terminal=True)
    assert both == Credentials(username="gpu", password="secret")


@pytest.mark.parametrize(
    ("user", "stdin", "given", "says"),
    [
        (None, False, b"", "--user is missing, and there is no terminal"),
        (None, True, b"x", "--user is missing"),
        ("a:b", True, b"x", "holds no colon"),
        ("", True, b"x", "holds no colon"),
        ("a\n", True, b"x", "printable"),
        ("a", True, b"", "standard input: holds no password"),
        ("a", True, b"\n", "standard input: holds no password"),
        ("a", True, b"b\nc\n", "standard input: holds more than a password"),
        ("a", True, b"b" * 5000, "standard input: holds more than a password"),
        ("a", False, b"", "no terminal to ask for the password at"),
    ],
)
def test_no_password(user: str | None, stdin: bool, given: bytes, says: str) -> None:
    with pytest.raises(NoPassword, match=says):
        credentials(user=user, from_stdin=stdin, given=given)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(NoPassword, match="missing: No such file"):
        credentials(file=tmp_path / "missing")
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(NoPassword, match="latin: is not UTF-8"):
        credentials(file=tmp_path / "latin")
    with pytest.raises(NoPassword, match="give one of them"):
        credentials(file=tmp_path / "latin", from_stdin=True)


def test_a_new_password() -> None:
    assert run(read_new_password, b"secret\n").return_value == "secret"
    typed = run(read_new_password, b"secret\nother\nsecret\nsecret\n", terminal=True)
    assert typed.return_value == "secret"
    assert "secret" not in typed.output
