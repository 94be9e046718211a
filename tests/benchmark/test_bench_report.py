import copy
from pathlib import Path
from typing import Any

import pytest

from benchmark.report import markdown, table

pytest.importorskip("matplotlib", reason="needs the extra `bench` (scripts/environment bench)")

from benchmark.plot import draw

WAY = {"MB/s": 500.0, "of direct": 0.97, "of direct, rounds": [0.9, 1.01], "CPU s/GiB": 0.04}
CASE = {
    **{f"{kind} {at} ms": 5.0 for kind in ("direct", "through", "added") for at in ("p50", "p99")},
    "direct requests/s": 1000.0,
    "through requests/s": 500.0,
    "CPU ms a request": 1.5,
    "asked upstream": 1.0,
}
FLEET = {
    "pulls/s": 100.0,
    **{f"{kind} {at} ms": 5.0 for kind in ("HEAD", "GET", "pull") for at in ("p50", "p95", "p99")},
    "CPU ms a pull": 6.5,
    "registry CPU ms a pull": 4.5,
    "asked upstream": 0.5,
}
SAMPLE = {"requests": 0, "GiB past": 0, "GiB streamed": 0, "MiB": 80.0, "peak MiB": 81.0}
RESULTS: dict[str, Any] = {
    "date": "2026-11-24",
    "quick": False,
    "machine": {"CPU": "a CPU", "cores": "2", "mitmproxy": "11"},
    "layers": {"MiB": 1024, **dict.fromkeys(("direct", "bypass", "nginx", "streamed"), WAY)},
    "pull": {"MiB": 512, "routes": {"direct": {"seconds": 2.0, "of direct": 1.0}}},
    "manifests": {
        "cases": dict.fromkeys(
            (
                "warm, 50 clients, kept",
                "warm, 50 clients, new",
                "warm, 50 clients, kept, each once a second",
                "warm, 50 clients, new, each once a second",
            ),
            CASE,
        )
    },
    "hub": {
        "machines": 200,
        "types": 8,
        "tags": 20,
        "every s": 10.0,
        "cases": {
            case: dict.fromkeys(("direct", "bare", "hub"), FLEET) for case in ("at once", "paced")
        },
    },
    "memory": {"cache MiB": 16, "samples": [SAMPLE, {**SAMPLE, "requests": 1000, "MiB": 90.5}]},
    "start": {"with the addon, s": 1.5, "mitmdump alone, s": 1.0},
    "choose": {
        "children": 1000,
        "bytes": 4,
        **{
            work: {"median ms": 1.0, "first ms": 2.0, "of json.loads": 3.0, "target ms": 50.0}
            for work in ("json.loads", "parse", "choose")
        },
    },
}
# The targets' judgement needs them, too.
RESULTS["layers"] |= dict.fromkeys(("cache-cold", "cache-warm"), WAY)
RESULTS["pull"]["routes"]["private relay"] = {"seconds": 2.0, "of direct": 1.0}
RESULTS["pull"]["routes"]["bypass"] = {"seconds": 2.0, "of direct": 1.0}


def test_table() -> None:
    assert table(("way", "s"), [["direct", "1"]]) == "| way | s |\n| --- | ---: |\n| direct | 1 |"


def test_every_part_has_its_section() -> None:
    text = markdown(RESULTS)
    for said in (
        "# What a pull costs (2026-11-24)",
        "CPU a CPU, cores 2",
        "full sizes",
        "## A layer of 1024 MiB over TLS",
        "| metahub-addon (layers past the proxy) | 500 | 0.97 | 0.90 to 1.01 | 0.04 |",
        "## `docker pull` of 512 MiB",
        "| warm, 50 clients, kept | 5.0 | 5.0 | 5.0 | 5.0 | 1000 | 500 | 1.5 | 1.00 |",
        "200 machines of 8 types, 20 tags, a new TLS connection a pull",
        "| all at once: metahub-addon as a hub | 100 | 5.0 | 5.0 | 5.0 |",
        "| each every 10 s: direct | 100 | 5.0 |",
        "| 5.0 |  | 4.5 | 0.50 |",
        "| 1000 | 0 | 0 | 90.5 | 81 |",
        "## Start until it listens",
        "## An index of 1000 children, 4 bytes",
    ):
        assert said in text


def test_what_is_not_there_is_said() -> None:
    results = copy.deepcopy(RESULTS)
    results["layers"] = {"skip": "needs root"}
    results["quick"] = True
    text = markdown(results)
    assert "## layers\n\nskip: needs root" in text
    assert "| a large layer, bypassed: at least 0.95 of direct | not measured" in text
    assert "too small to judge by" in text


def test_pictures_have_text_as_text_and_a_background(tmp_path: Path) -> None:
    draw(RESULTS, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{part}.{kind}" for part in ("layers", "manifests", "memory") for kind in ("svg", "png")
    }
    for file in tmp_path.iterdir():
        assert file.stat().st_size < 150_000
    picture = (tmp_path / "layers.svg").read_text()
    assert ">metahub-addon</text>" in picture
    assert "0.04 CPU s/GiB" in picture
    assert "#ffffff" in picture


def test_the_same_results_give_the_same_picture(tmp_path: Path) -> None:
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        draw(RESULTS, folder)
    for kind in ("svg", "png"):
        first, second = (tmp_path / at / f"layers.{kind}" for at in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_parts_that_were_not_measured_are_not_drawn(tmp_path: Path) -> None:
    draw({**RESULTS, "layers": {"skip": "needs root"}, "memory": {"failed": "?"}}, tmp_path)
    assert {file.stem for file in tmp_path.iterdir()} == {"manifests"}
