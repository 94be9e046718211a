import errno
import fcntl
import os
import stat
import threading
from pathlib import Path

import pytest

from metahub_addon import file_replacement
from metahub_addon.file_replacement import replace_file, sole_writer


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


def test_one_writes_at_a_time(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(file)
    inside = threading.Event()

    def enter() -> None:
        with sole_writer(link):
            inside.set()

    with sole_writer(file):
        (lock,) = set(os.listdir(file.parent)) - {"file", "elsewhere"}
        assert lock == ".file.lock"
        assert stat.S_IMODE((file.parent / lock).stat().st_mode) == 0o600
        other = threading.Thread(target=enter)
        other.start()
        assert not inside.wait(0.2)
    other.join(60)
    assert inside.is_set()
    with pytest.raises(ZeroDivisionError), sole_writer(file):
        raise ZeroDivisionError
    with sole_writer(file):
        pass
    assert set(os.listdir(file.parent)) == {"file", "elsewhere"}


def test_many_writers(file: Path) -> None:
    """The lock's file goes and comes back, and nobody is inside with another."""
    inside: list[int] = []
    most: list[int] = []

    def enter(number: int) -> None:
        for _ in range(20):
            with sole_writer(file):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=enter, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 80
    assert os.listdir(file.parent) == ["file"]


def test_waiting_has_an_end(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_replacement, "_WAIT_SECONDS", 0.05)
    with (
        sole_writer(file),
        pytest.raises(BlockingIOError, match="another process is changing it"),
        sole_writer(file),
    ):
        pass
    with sole_writer(file):
        pass


def test_what_others_may_read_locks_nobody_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_replacement, "_WAIT_SECONDS", 0)
    held = [os.open(path, os.O_RDONLY) for path in (file.parent, file)]
    for descriptor in held:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        with sole_writer(file):
            pass
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_what_a_killed_writer_leaves_is_taken_over(file: Path) -> None:
    (file.parent / ".file.lock").touch(0o600)
    with sole_writer(file):
        pass
    assert os.listdir(file.parent) == ["file"]


def test_a_lock_that_someone_removed(file: Path) -> None:
    with sole_writer(file):
        (file.parent / ".file.lock").unlink()
    assert os.listdir(file.parent) == ["file"]


def test_a_lock_that_leads_elsewhere(file: Path) -> None:
    (file.parent / ".file.lock").symlink_to(file)
    with pytest.raises(OSError, match="symbolic links"), sole_writer(file):
        pass


def test_locks_that_a_file_system_has_not(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="No locks available"), sole_writer(file):
        pass
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), sole_writer(tmp_path / "no" / "file"):
        pass


def test_the_new_files_status_is_told(file: Path) -> None:
    after, now = replace_file(file, b"new"), file.stat()
    told = (after.st_ino, after.st_mtime_ns, after.st_size)
    assert told == (now.st_ino, now.st_mtime_ns, now.st_size)
