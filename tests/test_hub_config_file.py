import errno
import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from metahub_addon import file_replacement, hub_config_file
from metahub_addon.file_replacement import replace_file, sole_writer
from metahub_addon.hub_config import HubConfig, ReadOnly
from metahub_addon.hub_config_file import HubConfigFile
from metahub_addon.oci_platform import Platform
from metahub_addon.passwords import hash_password, is_hash, matches
from metahub_addon.strict_yaml import InvalidYaml

TEXT = """\
# ünïcode, and\tspaces  \r
user: metahub
password:   s3cret   # to be hashed
types:
  # the first
  - name: t1
    features: [cpu:broadwell]
  - name: t2
# the end
accounts:
- {user: gpu, password: 'it''s', types: [t2], type: t2}
"""
HASHED = re.compile(r'"(\$2b\$04\$[^"]*)"')


def cheap(text: str) -> str:
    return hash_password(text, 4)


def open_file(path: Path) -> HubConfigFile:
    return HubConfigFile(path, hash_password=cheap, rest=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "machine-types.yaml"
    file.write_bytes(TEXT.encode())
    return file


def take_up(file: HubConfigFile) -> HubConfig:
    """The current configuration, when what it began is done."""
    config = file.current()
    for thread in threading.enumerate():
        if thread.name == "metahub-hide":
            thread.join(60)
    return config


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.DEBUG)
    return lambda: [f"{one.levelname} {one.getMessage()}" for one in caplog.records]


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(hub_config_file, "replace_file", refuse)


def test_passwords_in_the_clear_are_hashed_in_place(
    path: Path, said: Callable[[], list[str]]
) -> None:
    path.chmod(0o600)
    file = open_file(path)
    text = path.read_bytes().decode()
    hashes = HASHED.findall(text)
    assert [matches("s3cret", hashes[0]), matches("it's", hashes[1])] == [True, True]
    expected = TEXT.replace("s3cret", f'"{hashes[0]}"').replace("'it''s'", f'"{hashes[1]}"')
    assert text == expected
    assert [one.password for one in file.config.accounts.values()] == hashes
    assert path.stat().st_mode & 0o777 == 0o600
    assert not file.is_stale()
    assert said() == [f"INFO {path}: passwords replaced by their hashes: metahub, gpu"]
    assert file.current() is file.config


def test_a_file_that_can_not_be_written_is_read_all_the_same(
    path: Path, said: Callable[[], list[str]], read_only: None
) -> None:
    file = open_file(path)
    assert path.read_bytes().decode() == TEXT
    assert all(is_hash(one.password) for one in file.config.accounts.values())
    assert file.current() is file.config
    assert said() == [
        f"WARNING {path}: holds passwords in the clear and can't be written "
        "(Read-only file system): metahub, gpu"
    ]
    with pytest.raises(ReadOnly, match="can't be written: Read-only file system"):
        file.put_type({"name": "t3"})
    with pytest.raises(ReadOnly, match="can't be written: Read-only file system"):
        file.remove_type("t1")
    assert set(file.config.types) == {"t1", "t2"}


def test_what_is_known_of_a_password_stays(path: Path, read_only: None) -> None:
    file = open_file(path)
    before = file.config.accounts
    path.write_text(TEXT.replace("it''s", "other") + "select: [user]\n")
    after = take_up(file).accounts
    assert after["metahub"] == before["metahub"]  # so that its sessions go on
    assert matches("other", after["gpu"].password)


def test_a_change_under_way_stops_nobody_who_reads(
    path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    """Neither another hub's, nor one of this hub that waits for it."""
    file = open_file(path)
    monkeypatch.setattr(file_replacement, "_WAIT_SECONDS", 0.5)
    failed: list[Exception] = []

    def change() -> None:
        try:
            file.put_type({"name": "t3"})
        except ReadOnly as error:
            failed.append(error)

    with sole_writer(path):
        waiting = threading.Thread(target=change)
        waiting.start()
        path.write_text("user: a\npassword: b\ntypes: [{name: t4}]\n")
        assert set(file.current().types) == {"t4"}
        assert waiting.is_alive()
        take_up(file)
        waiting.join(60)
    reason = "another process is changing it"
    assert [str(error) for error in failed] == [f"{path}: can't be written: {reason}"]
    assert said()[-1].startswith(f"WARNING {path}: holds passwords in the clear")
    assert said()[-1].endswith(f"can't be written ({reason}): a")
    assert "password: b" in path.read_text()
    assert set(take_up(file).types) == {"t4"}


def test_a_hub_starts_while_its_file_is_locked(
    path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(file_replacement, "_WAIT_SECONDS", 0.05)
    with sole_writer(path):
        file = open_file(path)
    assert set(file.config.types) == {"t1", "t2"}
    assert "can't be written (another process is changing it): metahub, gpu" in said()[0]


def test_who_may_read_the_folder_locks_nobody_out(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    try:
        file = open_file(path)
        file.put_type({"name": "t3"})
    finally:
        os.close(folder)
    assert "t3" in file.config.types
    assert b"s3cret" not in path.read_bytes()


@pytest.mark.parametrize("gone", [True, False])
def test_what_an_editor_writes_meanwhile_is_not_missed(
    path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]], gone: bool
) -> None:
    def interrupted(path: Path, content: bytes) -> os.stat_result:
        after = replace_file(path, content)
        path.write_text("user: a\npassword: b\ntypes: [{name: t3}]\n")
        return after

    @contextmanager
    def late(path: Path) -> Iterator[None]:
        with sole_writer(path):
            path.unlink()
            yield

    if gone:
        monkeypatch.setattr(hub_config_file, "sole_writer", late)
    else:
        monkeypatch.setattr(hub_config_file, "replace_file", interrupted)
    file = open_file(path)
    assert set(file.config.types) == {"t1", "t2"}
    assert file.is_stale()
    monkeypatch.undo()
    assert set(take_up(file).types) == ({"t1", "t2"} if gone else {"t3"})
    assert ("cannot be read" in said()[-1]) == gone


def test_what_is_taken_up_while_passwords_are_hidden_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_file(path)
    path.write_text("user: a\npassword: b\ntypes: [{name: t3}]\n")

    def interrupted(path: Path, content: bytes) -> os.stat_result:
        monkeypatch.undo()
        path.write_text(f"user: a\npassword: {cheap('b')}\ntypes: [{{name: t4}}]\n")
        file.current()
        return replace_file(path, content)

    monkeypatch.setattr(hub_config_file, "replace_file", interrupted)
    take_up(file)
    assert set(file.config.types) == {"t4"}
    assert file.is_stale()


def test_files_that_can_not_be_read_are_told_when_they_are_named(
    path: Path, said: Callable[[], list[str]]
) -> None:
    file = open_file(path)
    path.write_text(path.read_text() + "certificates: [{authority: /nowhere/ca.pem, type: t1}]\n")
    assert file.current().certificates
    assert file.current() is file.config
    assert said()[1:] == [
        f"WARNING {path}: authority: /nowhere/ca.pem: cannot be read: No such file or directory",
        f"INFO {path}: taken up, 2 machine types",
    ]


def test_a_folder_that_can_not_be_locked_can_not_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(
        "metahub_addon.file_replacement.os.open",
        lambda *_: (_ for _ in ()).throw(PermissionError(errno.EACCES, "Permission denied")),
    )
    file = open_file(path)
    assert "can't be written (Permission denied)" in said()[0]
    with pytest.raises(ReadOnly, match="Permission denied"):
        file.remove_type("t1")


def test_who_is_slower_takes_what_the_other_wrote(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[HubConfigFile] = []

    def meanwhile(text: str) -> str:
        if not made:
            made.append(open_file(path))
        return cheap(text)

    slow = HubConfigFile(path, hash_password=meanwhile)
    assert slow.is_stale()
    assert slow.current().accounts == made[0].config.accounts
    assert not made[0].is_stale()


def test_a_changed_file_is_taken_up(path: Path, said: Callable[[], list[str]]) -> None:
    file = open_file(path)
    path.write_text("user: a\npassword: b\ntypes: [{name: t3}]\n")
    assert file.is_stale()
    assert set(file.config.types) == {"t1", "t2"}
    assert set(take_up(file).types) == {"t3"}
    assert not file.is_stale()
    assert b"password: b" not in path.read_bytes()
    assert said()[1:] == [
        f"INFO {path}: taken up, 1 machine types",
        f"INFO {path}: passwords replaced by their hashes: a",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"users: x\n\x1b: s3cret", "users: unknown key"),
        (b"\xff s3cret", "cannot be read: is not UTF-8"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_broken_change_is_reported_once_and_the_last_good_stays(
    path: Path, said: Callable[[], list[str]], content: bytes | None, says: str
) -> None:
    file = open_file(path)
    before = file.config
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    assert all(file.current() is before for _ in range(3))
    assert len(said()) == 2
    assert said()[1].startswith("WARNING ")
    assert said()[1].endswith("(the last good configuration stays)")
    assert says in said()[1] or "is not YAML" in said()[1]
    assert "s3cret" not in str(said())
    with pytest.raises(InvalidYaml):
        file.put_type({"name": "t3"})
    path.write_text(TEXT)
    assert take_up(file) is not before


def test_the_first_reading_must_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidYaml, match="cannot be read: No such file"):
        open_file(tmp_path / "no")


def test_the_platform_of_types_that_tell_none(path: Path) -> None:
    file = HubConfigFile(path, Platform("linux", "arm64"), cheap)
    file.put_type({"name": "t3"})
    assert {str(one.platform) for one in file.config.types.values()} == {"linux/arm64"}


def test_types_are_put_and_removed_in_the_file(path: Path, said: Callable[[], list[str]]) -> None:
    file, other = open_file(path), open_file(path)
    start = path.read_bytes()
    file.put_type({"name": "t3", "features": ["cpu:zen2"]})
    assert [str(feature) for feature in file.config.types["t3"].features] == ["cpu:zen2"]
    assert file.config.accounts["metahub"].types == ("t1", "t2", "t3")
    assert not file.is_stale()
    assert other.is_stale()
    assert other.current() == file.config
    other.put_type({"machine_type": "t1", "platform": "linux/arm64"})
    other.remove_type("t3")
    changed = b"- name: t1\n    platform: linux/arm64"
    assert path.read_bytes() == start.replace(b"- name: t1\n    features: [cpu:broadwell]", changed)
    assert file.current() == other.config
    assert f"INFO {path}: machine type t3 was put" in said()
    assert f"INFO {path}: machine type t3 was removed" in said()
    assert os.listdir(path.parent) == [path.name]


def test_a_type_put_as_it_is_leaves_the_file_alone(path: Path) -> None:
    file = open_file(path)
    before = path.stat()
    file.put_type({"name": "t1", "features": ["cpu:broadwell"]})
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_change_hashes_what_an_editor_has_just_written(path: Path) -> None:
    file = open_file(path)
    path.write_bytes(TEXT.encode())
    file.put_type({"name": "t3"})
    assert b"s3cret" not in path.read_bytes()
    assert matches("s3cret", file.config.accounts["metahub"].password)


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({}, "request:1: machine type: machine_type is missing"),
        ({"name": "a b"}, "request:1: name: 'a b' is no name"),
        ({"name": "t3", "features": "x"}, "request:1: features: is not a list"),
        ({"name": "t3", "features": ["a b"]}, "request:1: features[0]: 'a b' holds a space"),
        ({"name": "t3", "detect": {}}, "request:1: detect: unknown key"),
        ({"name": "t3", "x": None}, "request:1: x: unknown key"),
        ({"name": 3}, "request:1: name: is '3', not a string"),
    ],
)
def test_a_wrong_type_is_not_put(path: Path, machine: dict[str, Any], says: str) -> None:
    file = open_file(path)
    before, text = file.config, path.read_bytes()
    with pytest.raises(InvalidYaml) as caught:
        file.put_type(machine)
    assert str(caught.value).startswith(says)
    assert file.config is before
    assert path.read_bytes() == text


def test_what_would_break_the_file_is_refused(path: Path) -> None:
    path.write_text(TEXT.replace("user: gpu", "user: metahub-gpu"))
    file = open_file(path)
    before, text = file.config, path.read_bytes()
    with pytest.raises(InvalidYaml, match="would be that of both metahub and metahub-gpu"):
        file.put_type({"name": "gpu"})
    with pytest.raises(InvalidYaml, match=r"accounts\[0\].types\[0\]: still names the machine"):
        file.remove_type("t2")
    with pytest.raises(InvalidYaml, match="there is no machine type 't9'"):
        file.remove_type("t9")
    assert file.config is before
    assert path.read_bytes() == text


def test_an_edit_that_means_something_else_is_not_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = open_file(path)
    text = path.read_bytes()
    for edited in ("select: [user]\n", "# nothing\n"):
        monkeypatch.setattr(
            hub_config_file, "put_type", lambda text, source, machine, more=edited: text + more
        )
        with pytest.raises(InvalidYaml, match="can't be changed here, edit the file"):
            file.put_type({"name": "t3"})
    assert path.read_bytes() == text


def test_several_hubs_share_one_file(path: Path) -> None:
    hubs: list[HubConfigFile] = []

    def work(at: int) -> None:
        hub = open_file(path)
        hubs.append(hub)
        for number in range(5):
            hub.put_type({"name": f"n{at}-{number}"})
        hub.remove_type(f"n{at}-0")

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    first, *others = [hub.current() for hub in hubs]
    assert len(hubs) == 4
    assert all(config == first for config in others)
    assert set(first.types) == {"t1", "t2"} | {f"n{a}-{n}" for a in range(4) for n in range(1, 5)}
    assert len(HASHED.findall(path.read_text())) == 2
    assert os.listdir(path.parent) == [path.name]


def test_nothing_secret_is_shown(path: Path, said: Callable[[], list[str]]) -> None:
    file = open_file(path)
    assert "s3cret" not in str(said()) + repr(file.config) + repr(vars(file))
    assert "$2b$" not in repr(file.config)


def test_a_file_that_is_written_in_place_is_taken_up_when_it_is_whole(path: Path) -> None:
    """Half of it may parse: then an account's allow list is not there yet."""
    whole = "types: [{name: t1}]\naccounts:\n- {user: a, password: p}\n  # the rest\n"
    file = HubConfigFile(path, hash_password=cheap, rest=3600)
    before = file.config
    with path.open("r+") as writer:
        writer.truncate(0)
        writer.write(whole[:20])
        writer.flush()
        assert not file.is_stale()
        assert file.current() is before
    another = path.with_suffix(".new")
    another.write_text(whole)
    another.replace(path)
    assert file.is_stale()
    assert set(take_up(file).accounts) == {"a"}
