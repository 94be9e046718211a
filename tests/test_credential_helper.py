import os
import signal
import time
from pathlib import Path

import pytest

from metahub_addon.credential_helper import HelperError, ask_helper
from metahub_addon.credentials import Credentials


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path for helpers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def write(folder: Path, script: str, name: str = "test") -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            """echo '{"ServerURL":"r.test","Username":"ann","Secret":"pw"}'""",
            Credentials(username="ann", password="pw"),
        ),
        ("""echo '{"Username":"<token>","Secret":"id"}'""", Credentials(identity_token="id")),
        ("""echo '{"Username":"ann","Secret":""}'""", None),
        ("echo '{}'", None),
        ("echo credentials not found in native keychain; exit 1", None),
        # The server's name comes in, and the command is `get`.
        (
            """printf '{"Username":"%s","Secret":"%s"}' "$1" "$(cat)" """,
            Credentials(username="get", password="r.test"),
        ),
        (
            """echo noise >&2; echo '{"Username":"a","Secret":"b"}'""",
            Credentials(username="a", password="b"),
        ),
    ],
)
def test_answers(helpers: Path, script: str, expected: Credentials | None) -> None:
    write(helpers, script)
    assert ask_helper("test", "r.test") == expected


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo secret; exit 1", "docker-credential-test get: exit code 1 for 'r.test'"),
        ("echo secret >&2; exit 3", "exit code 3"),
        ("kill -9 $$", "exit code -9"),
        ("true", "printed no JSON object"),
        ("echo secret", "printed no JSON object"),
        ("""echo '["secret"]'""", "printed no JSON object"),
        (r"printf '\377secret'", "printed no JSON object"),
        ("""echo '{"Username":5,"Secret":"secret"}'""", "are no strings"),
        ("""echo '{"Username":"a","Secret":["secret"]}'""", "are no strings"),
        ("yes secret | head -c 100000", "printed more than 65536 bytes"),
    ],
)
def test_helpers_that_fail(helpers: Path, script: str, message: str) -> None:
    write(helpers, script)
    with pytest.raises(HelperError, match=message) as caught:
        ask_helper("test", "r.test")
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("name", ["", "a/b", "../x", "a b", "$(x)", "a;b", "a\n", "ä"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(HelperError, match="no credential helper's name"):
        ask_helper(name, "r.test")


def test_no_helper(helpers: Path) -> None:
    with pytest.raises(HelperError, match="docker-credential-gone cannot be run: No such file"):
        ask_helper("gone", "r.test")
    write(helpers, "true")
    (helpers / "docker-credential-test").chmod(0o644)
    with pytest.raises(HelperError, match="cannot be run: Permission denied"):
        ask_helper("test", "r.test")


def test_a_helper_that_hangs_is_ended_with_all_it_started(helpers: Path, tmp_path: Path) -> None:
    """Its child has its output open, too: that must keep nobody waiting."""
    child = tmp_path / "child"
    write(
        helpers, f"sleep 600 & echo $! > {child}.new; mv {child}.new {child}; cat > /dev/null; wait"
    )
    with pytest.raises(HelperError, match="docker-credential-test get: no answer within 2 s"):
        ask_helper("test", "r.test", seconds=2)
    pid, end = int(child.read_text()), time.monotonic() + 30
    while _runs(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_child_that_stays_behind_is_ended(helpers: Path) -> None:
    """Without a word more than the helper's own: it has closed its output."""
    write(
        helpers,
        """sleep 600 > /dev/null & echo "{\\"Username\\":\\"a\\",\\"Secret\\":\\"$!\\"}" """,
    )
    found = ask_helper("test", "r.test")
    assert found is not None
    end = time.monotonic() + 30
    while _runs(int(found.password)):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_helper_need_not_read(helpers: Path) -> None:
    write(helpers, """exec < /dev/null; echo '{"Username":"a","Secret":"b"}'""")
    assert ask_helper("test", "r" * 100_000) == Credentials(username="a", password="b")
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
