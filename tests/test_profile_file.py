from pathlib import Path

import pytest

from metahub_addon.machine import InvalidProfile
from metahub_addon.profile_file import ProfileFile, load_profile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "profile.yaml"
    file.write_text("name: first\n")
    return file


def test_a_changed_file_is_taken_up(path: Path) -> None:
    profile = ProfileFile(path)
    assert profile.current() is profile.current()
    path.write_text("name: second\n")
    assert profile.current().name == "second"


@pytest.mark.parametrize("content", [b"nome: x\n", b"\xff\xfe", None])
def test_a_broken_change_is_reported_once_and_the_last_good_stays(
    path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    profile = ProfileFile(path)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert [profile.current().name for _ in range(3)] == ["first"] * 3
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    assert "the last good profile, first, stays" in warnings[0]
    path.write_text("name: mended\n")
    assert profile.current().name == "mended"


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"\xff", "is not UTF-8"), (b"a: b", ":1: a:")]
)
def test_a_file_that_cannot_be_read(tmp_path: Path, content: bytes | None, says: str) -> None:
    file = tmp_path / "p.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidProfile, match=says):
        load_profile(file)
    with pytest.raises(InvalidProfile, match=str(file)):
        ProfileFile(file)
