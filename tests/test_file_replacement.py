import os
import stat
import threading
from pathlib import Path

import pytest

from metahub_addon.file_replacement import locked_folder, replace_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def test_mode_and_owner_stay_and_the_time_is_new(file: Path) -> None:
    file.chmod(0o640)
    owner = (12345, 12346) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(file, *owner)
    os.utime(file, (1, 1))
    replace_file(file, b"new")
    status = file.stat()
    assert file.read_bytes() == b"new"
    assert (status.st_uid, status.st_gid) == owner
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime > 1
    assert os.listdir(file.parent) == ["file"]


def test_extended_attributes_stay(file: Path) -> None:
    os.setxattr(file, "user.metahub", b"kept")
    replace_file(file, b"new")
    assert os.getxattr(file, "user.metahub") == b"kept"


def test_a_link_stays_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "folder" / "link"
    link.parent.mkdir()
    link.symlink_to(file)
    replace_file(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert os.listdir(link.parent) == ["link"]


@pytest.mark.parametrize("call", ["fchown", "fsync", "replace"])
def test_what_fails_leaves_all_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(PermissionError):
        replace_file(file, b"new")
    assert file.read_bytes() == b"old"
    assert os.listdir(file.parent) == ["file"]


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


def test_a_folder_is_locked_for_one(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(file)
    inside = threading.Event()

    def enter() -> None:
        with locked_folder(link):
            inside.set()

    with locked_folder(file):
        other = threading.Thread(target=enter)
        other.start()
        assert not inside.wait(0.2)
    other.join(60)
    assert inside.is_set()
    with pytest.raises(ZeroDivisionError), locked_folder(file):
        raise ZeroDivisionError
    with locked_folder(file):
        pass


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked_folder(tmp_path / "no" / "file"):
        pass
