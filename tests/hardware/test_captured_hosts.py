"""Detection on captured hosts: facts of public hardware descriptions, with what to expect.

archspec, asked about the same /proc/cpuinfo, is a second opinion: where it differs, the
capture says so and why.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from archspec.cpu import TARGETS
from archspec.cpu import detect as archspec_detect

from metahub_addon.cpu import match_cpu
from metahub_addon.cpuinfo import parse_cpuinfo
from metahub_addon.detect import detect
from metahub_addon.microarchitectures import completed, executes, needs
from metahub_addon.profile_parser import parse_profile
from metahub_addon.profile_writer import profile_text
from support.fake_host import FakeHost

HOSTS = sorted((Path(__file__).parent / "hosts").glob("*.yaml"))
SHIPPED = sorted(
    path
    for path in (Path(archspec_detect.__file__).parent.parent / "json/tests/targets").glob(
        "linux-*"
    )
)


@pytest.fixture(params=HOSTS, ids=lambda path: path.stem)
def capture(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(request.param.read_text())
    return loaded


def host_of(capture: dict[str, Any]) -> FakeHost:
    return FakeHost(
        machine=capture["machine"],
        files=capture["files"],
        commands=capture.get("commands", {}),
        services=capture.get("services", {}),
    )


@pytest.fixture
def second_opinion(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """archspec's answer for a machine and its cpuinfo."""

    def ask(machine: str, cpuinfo: str) -> str:
        monkeypatch.setattr(archspec_detect, "_machine", lambda: machine)
        monkeypatch.setattr("builtins.open", lambda *_, **__: io.StringIO(cpuinfo))
        archspec_detect.host.cache_clear()
        return str(archspec_detect.host().name)

    yield ask
    archspec_detect.host.cache_clear()


def test_there_are_enough_of_every_kind() -> None:
    captures = [yaml.safe_load(path.read_text()) for path in HOSTS]
    assert len(captures) >= 40
    assert {"x86_64", "aarch64", "ppc64le", "riscv64"} <= {c["machine"] for c in captures}
    assert sum("commands" in c for c in captures) >= 10
    assert sum(any("/dmi/" in name for name in c["files"]) for c in captures) >= 15


def test_what_is_expected_is_detected(capture: dict[str, Any]) -> None:
    found = detect(host_of(capture))
    assert sorted(map(str, found.machine.features)) == sorted(capture["expected"])
    no_kernel = [text for text in found.warnings if "osrelease" not in text]
    assert len(no_kernel) == capture.get("warnings", 0), no_kernel
    assert all(fact.source for fact in found.facts)


def test_it_reads_back_as_a_profile(capture: dict[str, Any]) -> None:
    found = detect(host_of(capture))
    text = profile_text(found)
    assert parse_profile(text, "p", lambda: found.machine.platform).machine == found.machine


def test_the_level_of_an_arm_host_is_in_its_platform() -> None:
    levels = {}
    for name in ("graviton1", "graviton2", "graviton3", "graviton4"):
        path = next(path for path in HOSTS if path.stem == name)
        levels[name] = str(detect(host_of(yaml.safe_load(path.read_text()))).machine.platform)
    assert levels == {
        "graviton1": "linux/arm64",
        "graviton2": "linux/arm64/v8.2",
        "graviton3": "linux/arm64/v8.4",
        "graviton4": "linux/arm64/v9",
    }


def test_nothing_that_the_host_lacks_is_taken_to_run(capture: dict[str, Any]) -> None:
    machine = detect(host_of(capture)).machine
    cpu = machine.values("cpu")[0]
    if not machine.cpu_flags:
        return
    for name in TARGETS:
        if match_cpu(name, cpu, machine.cpu_flags).holds:
            assert executes(cpu, name)
            assert needs(name) <= completed(machine.cpu_flags)


def test_the_detected_cpu_runs_what_is_built_for_it(capture: dict[str, Any]) -> None:
    machine = detect(host_of(capture)).machine
    cpu = machine.values("cpu")[0]
    assert match_cpu(cpu, cpu, machine.cpu_flags).distance == (0,)


def test_archspec_agrees_or_the_capture_says_why(
    capture: dict[str, Any], second_opinion: Any
) -> None:
    cpuinfo = capture["files"]["/proc/cpuinfo"]
    cpu = next(word for word in capture["expected"] if word.startswith("cpu:"))
    opinion = second_opinion(capture["machine"], cpuinfo)
    assert opinion == capture.get("archspec", cpu.removeprefix("cpu:"))
    assert ("archspec" in capture) == ("because" in capture)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_captures_that_archspec_ships(path: Path) -> None:
    expected = path.name.rpartition("-")[2]
    machine = str(TARGETS[expected].family)
    assert parse_cpuinfo(path.read_text(), machine).name == expected
