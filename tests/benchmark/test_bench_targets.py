from typing import Any

import pytest

from benchmark.targets import TARGETS, judge


def results(**changed: Any) -> dict[str, Any]:
    """A run that meets all targets, but for what is changed: `part__key__key=value`."""
    case = {"added p99 ms": 9.9}
    found: dict[str, Any] = {
        "layers": {
            "bypass": {"of direct": 0.96, "CPU s/GiB": 0.04},
            "nginx": {"of direct": 0.5},
            "cache-cold": {"of direct": 0.3},
            "cache-warm": {"of direct": 0.9},
        },
        "pull": {"routes": {"bypass": {"of direct": 1.04}, "private relay": {"of direct": 1.03}}},
        "manifests": {
            "cases": {
                "warm, 50 clients, kept": dict(case),
                "warm, 50 clients, new": dict(case),
                "warm, 50 clients, kept, each once a second": dict(case),
                "warm, 50 clients, new, each once a second": dict(case),
            }
        },
        "memory": {"cache MiB": 16, "samples": samples(90, 110, 110, 110)},
        "choose": {
            "parse": {"median ms": 10, "target ms": 50},
            "choose": {"median ms": 10, "target ms": 20},
        },
    }
    for path, value in changed.items():
        *keys, last = path.split("__")
        place = found
        for key in keys:
            place = place[key]
        place[last] = value
    return found


def samples(*sizes: float) -> list[dict[str, float]]:
    return [{"MiB": size} for size in sizes]


def verdicts(found: dict[str, Any]) -> list[bool | None]:
    return [one.met for one in judge(found)]


def test_all_met() -> None:
    assert verdicts(results()) == [True] * len(TARGETS)


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"layers__bypass__of direct": 0.94}, 0),
        ({"layers__bypass__CPU s/GiB": 0.1}, 1),
        ({"layers__nginx__of direct": 0.97}, 2),
        ({"layers__cache-warm__of direct": 0.96}, 2),
        ({"layers__cache-cold__of direct": 1.0}, 2),
        ({"pull__routes__bypass__of direct": 1.051}, 3),
        ({"pull__routes__private relay__of direct": 1.051}, 4),
        ({"manifests__cases__warm, 50 clients, kept, each once a second__added p99 ms": 10}, 5),
        ({"manifests__cases__warm, 50 clients, new, each once a second__added p99 ms": 10}, 6),
        ({"manifests__cases__warm, 50 clients, kept__added p99 ms": 10.0}, 7),
        ({"manifests__cases__warm, 50 clients, new__added p99 ms": 10.0}, 8),
        # Leaks: all at once, or bit by bit in the second half.
        ({"memory__samples": samples(90, 131, 131, 131, 131)}, 9),
        ({"memory__samples": samples(90, 92, 94, 97, 99)}, 9),
        ({"choose__parse__median ms": 50.1}, 10),
        ({"choose__choose__median ms": 20.1}, 10),
    ],
)
def test_one_not_met(changed: dict[str, Any], at: int) -> None:
    assert verdicts(results(**changed)) == [place != at for place in range(len(TARGETS))]


def test_what_was_skipped_or_failed_is_not_measured() -> None:
    found = results()
    found["layers"] = {"skip": "needs root"}
    found["memory"] = {"failed": "mitmdump did not come up"}
    del found["pull"]
    assert verdicts(found) == [*[None] * 5, *[True] * 4, None, True]


def test_measured_says_by_how_much() -> None:
    said = [one.measured for one in judge(results())]
    assert said[0] == "0.960"
    assert said[3] == "+4.0 %"
    assert said[5] == "9.9 ms"
