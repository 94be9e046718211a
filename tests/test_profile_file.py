import time
from pathlib import Path
from threading import Thread

import pytest

from metahub_addon.profile_file import ProfileFile, load_profile, read_profile
from metahub_addon.profile_parser import InvalidProfile
from metahub_addon.this_host import ThisHost


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


def test_a_changed_file_is_known_as_stale_at_once(path: Path) -> None:
    profile = ProfileFile(path)
    assert not profile.is_stale()
    path.write_text("name: second\n")
    assert profile.is_stale()
    assert profile.machine.name == "first"
    assert profile.current() is profile.machine
    assert not profile.is_stale()


def test_what_a_profile_wants_detected_is_detected_or_a_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text(
        "name: own\nfeatures: [site:north]\ndetect:\n  mpi: {command: echo 4.1}\n"
        "  no: {file: /no/such/file}\n  cpu: host\n  glibc: host\n"
    )
    machine = load_profile(path, metadata=False)
    assert [feature.key for feature in machine.features][:3] == ["site", "mpi", "cpu"]
    assert machine.values("mpi") == ("4.1",)
    assert machine.cpu_flags
    assert f"{path}: detect.no: /no/such/file does not exist" in caplog.text


def test_reading_alone_runs_nothing(path: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    path.write_text(f"name: own\ndetect:\n  mpi: {{command: touch {mark}}}\n")
    assert read_profile(path, ThisHost()).wanted[0].key == "mpi"
    assert not mark.exists()


def test_the_newest_profile_wins_however_long_an_older_one_takes(path: Path) -> None:
    profile = ProfileFile(path)
    path.write_text("name: older\ndetect: {a: {command: sleep 1}}\n")
    slow = Thread(target=profile.current)
    slow.start()
    while profile.is_stale():
        time.sleep(0.01)
    path.write_text("name: newest\n")
    assert profile.current().name == "newest"
    slow.join()
    assert profile.machine.name == "newest"
