"""The comparison of trees, on folders that stand for an overlay's."""

from pathlib import Path

from node.tree import differences, outside, snapshot


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    folder.mkdir(exist_ok=True)
    return folder


def seen(tmp_path: Path, now: dict[str, str], upper: dict[str, str], name: str) -> dict[str, str]:
    """A snapshot of a root that shows `now`, with `upper` as what was touched."""
    root = tree(tmp_path / f"{name}-root", now)
    return snapshot(root, tree(tmp_path / f"{name}-upper", upper), tmp_path / "lower")


def test_what_is_put_back_is_no_difference(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", {"etc/a": "1"})
    before = seen(tmp_path, {"etc/a": "1"}, {}, "before")
    after = seen(tmp_path, {"etc/a": "1"}, {"etc/a": "1"}, "after")
    assert differences(before, after, lower) == {}


def test_a_new_a_changed_and_a_removed_file_are(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", {"etc/a": "1", "etc/b": "1"})
    before = seen(
        tmp_path, {"etc/a": "1", "etc/b": "1", "etc/own": "1"}, {"etc/own": "1"}, "before"
    )
    after = seen(
        tmp_path, {"etc/a": "2", "etc/new": ""}, {"etc/a": "2", "etc/b": "", "etc/new": ""}, "after"
    )
    found = differences(before, after, lower)
    assert set(found) == {"etc/a", "etc/b", "etc/new", "etc/own"}
    assert found["etc/b"][1] == "" == found["etc/new"][0]


def test_a_mode_and_a_link_count(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", {"a": "1", "b": "1"})
    before = seen(tmp_path, {"a": "1", "b": "1"}, {}, "before")
    root = tree(tmp_path / "after-root", {"a": "1"})
    (root / "a").chmod(0o600)
    (root / "b").symlink_to("a")
    upper = tree(tmp_path / "after-upper", {"a": "1", "b": "1"})
    found = differences(before, snapshot(root, upper, lower), lower)
    assert set(found) == {"a", "b"}


def test_a_folder_that_was_replaced_hides_what_was_in_it(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", {"etc/d/inner": "1"})
    before = seen(tmp_path, {"etc/d/inner": "1"}, {}, "before")
    after = seen(tmp_path, {"etc/d": "a file"}, {"etc/d": "a file"}, "after")
    assert set(differences(before, after, lower)) == {"etc/d", "etc/d/inner"}


def test_what_is_left_out_is_below_a_folder() -> None:
    paths = ["var", "var/log", "var/log/a", "var/logs"]
    assert outside(paths, ["var/log"]) == ["var", "var/logs"]
