"""What the addon counts, as Prometheus reads it (exposition formats 0.0.4 and OpenMetrics)."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metahub_addon.printable import printable

_EVENTS = "metahub_events"
_REST = "other"
# Names of events are ours, but nothing that is counted may let a scrape grow without end.
_MAX_EVENTS = 100
_MAX_EVENT_LENGTH = 64
# What a hub answers of its own accord, and 404 and 429 also where its registry does. Any
# other error of a registry's that it passes on is counted as an event.
REFUSALS = (401, 403, 404, 405, 429, 500, 502, 503)


@dataclass(frozen=True, slots=True)
class Family:
    """A counter with one label, whose every value is the name of something counted."""

    name: str
    help: str
    label: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that is asked for with each scrape; None: there is none now."""

    name: str
    help: str
    read: Callable[[], float | None]


def _same(*names: str, prefix: str = "") -> Mapping[str, str]:
    """What is counted as `prefix name`, by its name as a label's value."""
    return MappingProxyType({prefix + name: name.replace(" ", "_") for name in names})


FAMILIES = (
    Family(
        "metahub_manifests",
        "Requests for manifests, by what became of them.",
        "outcome",
        _same("rewritten", "passed", "pinned", "untouched", "nothing fits", "failed", "absent"),
    ),
    Family(
        "metahub_layers",
        "Requests for layers, by the way that they were sent.",
        "way",
        _same("past", "relay", "through", "back", "left to the registry", prefix="layers "),
    ),
    Family(
        "metahub_connections",
        "Connections that did not end in an answer of ours, by the reason.",
        "reason",
        MappingProxyType(
            {
                "connections left alone": "left_alone",
                "clients without trust": "client_distrust",
                "registries without trust": "registry_distrust",
                "requests without an answer": "no_answer",
            }
        ),
    ),
    Family(
        "metahub_hub_requests",
        "Requests that a hub answered by an error, by its status, or sent on to a registry.",
        "outcome",
        _same("sent on", *(f"refused {status}" for status in REFUSALS), prefix="hub "),
    ),
)


class Metrics:
    """Reads the addon's counts and gauges with each scrape; keeps no numbers of its own."""

    def __init__(self, version: str, counts: Mapping[str, int], gauges: tuple[Gauge, ...]) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Counts(version, counts, gauges))
        ProcessCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """The Content-Type and the text, in the format that an Accept header asks for."""
        encoder, content_type = choose_encoder(accept)
        return content_type, encoder(self._registry)


class _Counts(Collector):
    def __init__(self, version: str, counts: Mapping[str, int], gauges: tuple[Gauge, ...]) -> None:
        self._version = version
        self._counts = counts
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """All families; those that are known begin at 0, so that a first event is a rise."""
        counts = dict(self._counts)
        info = GaugeMetricFamily("metahub_info", "The version.", labels=["version"])
        info.add_metric([self._version], 1)
        yield info
        for family in FAMILIES:
            metric = CounterMetricFamily(family.name, family.help, labels=[family.label])
            for event, value in family.values.items():
                metric.add_metric([value], counts.pop(event, 0))
            yield metric
        yield _events(counts)
        for gauge in self._gauges:
            now = gauge.read()
            if now is not None:
                yield GaugeMetricFamily(gauge.name, gauge.help, value=now)


def _events(counts: Mapping[str, int]) -> Metric:
    """Whatever else is counted; what is beyond the bound counts together."""
    totals: Counter[str] = Counter()
    for event in sorted(counts):
        label = printable(event)[:_MAX_EVENT_LENGTH].replace(" ", "_")
        is_new = label not in totals and len(totals) >= _MAX_EVENTS
        totals[_REST if is_new else label] += counts[event]
    metric = CounterMetricFamily(_EVENTS, "All else that is counted.", labels=["event"])
    for label, total in totals.items():
        metric.add_metric([label], total)
    return metric
