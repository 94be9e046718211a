"""Each scrape is read back by Prometheus's own parsers."""

from collections import Counter
from collections.abc import Mapping

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as plain

from metahub_addon.metrics import FAMILIES, REFUSALS, Gauge, Metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(counts: Counter[str], *gauges: Gauge, accept: str = "") -> Mapping[str, float]:
    """All samples of ours, by name and labels."""
    content_type, body = Metrics("1.2.3", counts, gauges).exposition(accept)
    parse = openmetrics if "openmetrics" in content_type else plain
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sample.labels.items()): (
            sample.value
        )
        for family in parse(body.decode())
        for sample in family.samples
        if sample.name.startswith("metahub")
    }


@pytest.mark.parametrize("accept", ["", "text/plain", OPENMETRICS])
def test_what_is_counted(accept: str) -> None:
    counts = Counter({"rewritten": 7, "nothing fits": 2, "layers past": 3, "hub refused 401": 4})
    found = samples(counts, accept=accept)
    assert found["metahub_manifests_total outcome=rewritten"] == 7
    assert found["metahub_manifests_total outcome=nothing_fits"] == 2
    assert found["metahub_layers_total way=past"] == 3
    assert found["metahub_hub_requests_total outcome=refused_401"] == 4
    assert found["metahub_info version=1.2.3"] == 1


def test_every_refusal_that_a_hub_counts_begins_at_zero() -> None:
    """What test_hub_addon.py has seen counted: a rise from nothing is no rise to Prometheus."""
    found = samples(Counter({f"hub refused {status}": status for status in REFUSALS}))
    for status in (401, 403, 404, 405, 429, 500, 502, 503):
        assert found[f"metahub_hub_requests_total outcome=refused_{status}"] == status
    assert not [name for name in found if name.startswith("metahub_events")]
    assert not {400, 413} & set(REFUSALS)  # these a hub never answers by itself


def test_families_begin_at_zero() -> None:
    found = samples(Counter())
    zeros = sum(len(family.values) for family in FAMILIES)
    assert sorted(found.values()) == [0.0] * zeros + [1.0]


def test_counts_are_read_anew() -> None:
    counts: Counter[str] = Counter()
    metrics = Metrics("1", counts, ())
    counts["pinned"] += 5
    assert b'outcome="pinned"} 5.0' in metrics.exposition("")[1]


def test_no_event_is_lost_and_labels_are_bounded() -> None:
    counts = Counter({f"event {at:03}": 1 for at in range(250)})
    events = {
        name: value for name, value in samples(counts).items() if name.startswith("metahub_events")
    }
    assert sum(events.values()) == 250
    assert len(events) == 101
    assert events["metahub_events_total event=other"] == 150


def test_a_hostile_event_stays_a_label() -> None:
    hostile = 'a"} 1\nmetahub_manifests_total{outcome="rewritten"} 99\n#\x1b[31m' + "x" * 500
    found = samples(Counter({hostile: 1}))
    assert found["metahub_manifests_total outcome=rewritten"] == 0
    name = next(name for name in found if name.startswith("metahub_events"))
    assert name.isprintable()
    assert len(name) < 100


def test_gauges() -> None:
    here, gone = Gauge("metahub_a", "A.", lambda: 4), Gauge("metahub_b", "B.", lambda: None)
    found = samples(Counter(), here, gone)
    assert found["metahub_a"] == 4
    assert "metahub_b" not in found


def test_the_process() -> None:
    assert b"process_open_fds" in Metrics("1", Counter(), ()).exposition("")[1]
