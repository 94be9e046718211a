import stat
from pathlib import Path

import pytest
import yaml

from metahub_addon.detect import Detection, detect
from metahub_addon.features import Feature
from metahub_addon.probe import Fact
from metahub_addon.profile_parser import parse_profile
from metahub_addon.profile_writer import profile_text, write_whole
from support.descriptors import machine
from support.fake_host import FakeHost


def test_every_fact_says_where_it_came_from() -> None:
    found = detect(FakeHost(files={"/proc/cpuinfo": "flags: mmx"}))
    assert profile_text(found) == (
        "machine_type: detected-x86_64\nplatform: linux/amd64\nfeatures:\n"
        "  - cpu:x86_64  # /proc/cpuinfo\n"
        "# What the kernel shows; a flag that is missing here is one that is lacking.\n"
        "cpu_flags: >-\n  mmx\n"
        "# not detected: /proc/sys/kernel/osrelease does not exist\n"
    )


@pytest.mark.parametrize("value", ["yes", "1.5", "a#b", "it's", "[x]", "a:b", "0x10", "~"])
def test_any_value_reads_back(value: str) -> None:
    feature = Feature("key", value)
    host = machine(str(feature))
    found = Detection(host, (Fact("key", value, "here"),), ("a\nb",))
    text = profile_text(found)
    assert yaml.safe_load(text)["features"] == [str(feature)]
    assert parse_profile(text, "p", lambda: host.platform).machine.features == (feature,)
    assert text.endswith("# not detected: a\\nb\n")


def test_no_features_at_all() -> None:
    host = machine()
    text = profile_text(Detection(host, (), ()))
    assert parse_profile(text, "p", lambda: host.platform).machine == host


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "profile.yaml"
    write_whole(file, "one")
    write_whole(file, "two")
    assert file.read_text() == "two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "folder", "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "profile.yaml"]
