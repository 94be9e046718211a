import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import namespaces
from benchmark.report import ROUTES
from benchmark.settings import Settings

pytest.importorskip("matplotlib", reason="needs the extra `bench` (scripts/environment bench)")

ROOT = Path(__file__).resolve().parents[2]
BENCH = [sys.executable, "-m", "benchmark", "layers", "--quick", "--layer-mib", "4"]


def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / "scripts"), str(ROOT / "tests")])
    return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)}


def processes_of(folder: Path) -> list[int]:
    """Those whose command line names a file in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            pass  # it has just ended
    return found


@pytest.fixture
def able() -> None:
    lacking = namespaces.missing("layers")
    if lacking:
        pytest.skip(f"missing: {lacking}")


@pytest.mark.real
@pytest.mark.usefixtures("able")
def test_every_route_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    work, output = tmp_path / "work", tmp_path / "output"
    work.mkdir()
    done = subprocess.run(
        [*BENCH, "--output", str(output)],
        env=environment(work),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    layers = json.loads((output / "results.json").read_text())["layers"]
    assert ROUTES.keys() <= layers.keys()
    assert (output / "layers.png").stat().st_size > 10_000
    assert list(work.iterdir()) == []
    assert processes_of(work) == []


@pytest.mark.real
@pytest.mark.usefixtures("able")
def test_nothing_is_left_when_it_is_interrupted(tmp_path: Path) -> None:
    bench = subprocess.Popen([*BENCH, "--output", str(tmp_path)], env=environment(tmp_path))
    try:
        end = time.monotonic() + 60
        while len(processes_of(tmp_path)) < 4:  # the bench, unshare, the registry, a mitmdump …
            assert bench.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        bench.send_signal(signal.SIGINT)
        assert bench.wait(30) == 130
    finally:
        bench.kill()
        bench.wait()
    end = time.monotonic() + 10
    while processes_of(tmp_path):
        assert time.monotonic() < end, "processes are left"
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []


def test_without_root_the_parts_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    results = namespaces.measure(Settings(addon=""), ["layers", "pull"])
    assert results == {"layers": {"skip": "needs root"}, "pull": {"skip": "needs root"}}


def test_a_missing_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(namespaces, "COMMANDS", ("no-such-command",))
    assert namespaces.missing("layers") == "needs the command no-such-command"
