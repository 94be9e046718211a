"""Paths and their states: saved, changed in every way, and brought back to the byte."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.states import ABSENT, Backups, look, remove, write_whole

FORMS: dict[str, Callable[[Path], object]] = {
    "absent": lambda path: None,
    "file": lambda path: path.write_bytes(b"\xffcontent"),
    "secret file": lambda path: write_whole(path, b"key", 0o600),
    "link": lambda path: path.symlink_to("elsewhere"),
    "folder": lambda path: path.mkdir(0o711),
}


@pytest.mark.parametrize("before", FORMS)
@pytest.mark.parametrize("after", FORMS)
def test_back_from_anything(tmp_path: Path, before: str, after: str) -> None:
    backups, path = Backups(tmp_path / "backups"), tmp_path / "path"
    FORMS[before](path)
    if before != "absent":
        os.utime(path, ns=(1_000, 1_000), follow_symlinks=False)
    state = backups.save(path)
    remove(path)
    FORMS[after](path)
    backups.restore(path, state)
    now = look(path)
    assert (now.kind, now.mode, now.content) == (state.kind, state.mode, state.content)
    assert state.kind == "folder" or now == state


def test_a_restored_file_is_not_touched_again(tmp_path: Path) -> None:
    backups, path = Backups(tmp_path / "backups"), tmp_path / "path"
    path.write_text("content")
    state, inode = backups.save(path), path.stat().st_ino
    backups.restore(path, state)
    assert path.stat().st_ino == inode


def test_a_half_written_file_goes(tmp_path: Path) -> None:
    (tmp_path / "path.metahub-new").write_text("ha")
    Backups(tmp_path).restore(tmp_path / "path", ABSENT)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_someone_still_writes_to_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    rounds = iter([True, False])
    real = __import__("shutil").rmtree

    def racing(path: Path, ignore_errors: bool = False) -> None:
        real(path, ignore_errors=ignore_errors)
        if next(rounds, False):
            folder.mkdir()

    monkeypatch.setattr("installer.states.shutil.rmtree", racing)
    monkeypatch.setattr("installer.states._PAUSE", 0)
    remove(folder)
    assert not folder.exists()
