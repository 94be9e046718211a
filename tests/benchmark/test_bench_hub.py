from collections import Counter
from dataclasses import replace

import pytest

from benchmark.fleet_load import FleetPulled
from benchmark.hub import AT_ONCE, PACED, Round, paces, steps, summary, verify
from benchmark.registry import requests_in
from benchmark.settings import Settings
from support.fleet import TYPES, Image, Pulled, fleet_of

IMAGES = [
    Image("a/b", tag, f"sha256:{tag}", {name: f"sha256:{tag}-{name}" for name in TYPES})
    for tag in ("v1", "v2")
]
PULLS = [
    Pulled(
        machine=machine,
        path=image.path,
        digest=image.children[machine.type],
        features=",".join(TYPES[machine.type]),
        resolved=None if machine.is_podman else 0.02,
        fetched=0.01,
    )
    for machine in fleet_of(2 * len(TYPES), podman_every=2)
    for image in IMAGES
]
ASKED: Counter[str] = Counter(
    {
        **{
            f"GET {image.by_digest(digest)}": 1
            for image in IMAGES
            for digest in (image.index, *image.children.values())
        },
        **{f"HEAD {image.path}": 7 for image in IMAGES},
        "GET /v2/": 1,
    }
)
SEEN = Round(FleetPulled(PULLS, [0.05] * len(PULLS), 4.0), 0.32, 0.16, ASKED)


def test_a_fleet_that_got_what_it_should() -> None:
    verify(SEEN, IMAGES)


def test_a_child_of_another_type() -> None:
    wrong = replace(PULLS[0], digest=IMAGES[0].children["type2"])
    done = FleetPulled([*PULLS[1:], wrong], SEEN.done.whole, 4.0)
    with pytest.raises(RuntimeError, match="type1: another's child of /v2/a/b/manifests/v1"):
        verify(replace(SEEN, done=done), IMAGES)


@pytest.mark.parametrize(("count", "said"), [(2, "19 GETs of 18"), (0, "17 GETs of 18")])
def test_a_child_that_was_asked_for_twice_or_not(count: int, said: str) -> None:
    asked = Counter(ASKED)
    asked[f"GET {IMAGES[0].by_digest(IMAGES[0].index)}"] = count
    with pytest.raises(RuntimeError, match=said):
        verify(replace(SEEN, asked=asked), IMAGES)


def test_summary_is_by_pull() -> None:
    row = summary([SEEN])
    assert row["pulls/s"] == 8.0
    assert (row["HEAD p50 ms"], row["GET p99 ms"], row["pull p95 ms"]) == (20.0, 10.0, 50.0)
    assert (row["CPU ms a pull"], row["registry CPU ms a pull"]) == (10.0, 5.0)
    assert row["asked upstream"] == pytest.approx(33 / 32, abs=0.001)


def test_half_of_the_requests_come_without_a_head() -> None:
    assert (len(SEEN.done.heads), len(SEEN.done.gets)) == (16, 32)


def test_a_quick_run_is_smaller() -> None:
    full, quick = Settings(addon=""), Settings(addon="").quick()
    assert steps(full) > steps(quick) == 3
    assert paces(full)[AT_ONCE].pulls == 20 > paces(quick)[AT_ONCE].pulls
    assert paces(full)[PACED].every > 0 == paces(full)[AT_ONCE].every


def test_requests_are_read_from_a_registrys_log() -> None:
    log = (
        'time="…" level=warning msg="No HTTP secret"\n'
        '127.0.0.1 - - [25/Nov/2026] "HEAD /v2/a/manifests/b HTTP/1.1" 200 4 "" "x"\n'
        '127.0.0.1 - - [25/Nov/2026] "GET /v2/ HTTP/1.1" 401 4 "" "x"\n'
    )
    assert requests_in(log) == ["HEAD /v2/a/manifests/b", "GET /v2/"]
