"""Results as Markdown tables: what people read, and what goes into the repository."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmark.targets import Judgement, judge

Results = Mapping[str, Any]
VERDICTS = {True: "met", False: "**not met**", None: "not measured"}
# In the order of a reader's interest; the keys are those of the results.
ROUTES = {
    "direct": "direct",
    "bypass": "metahub-addon (layers past the proxy)",
    "relay": "metahub-addon, pulls with credentials (relayed)",
    "cache-warm": "docker-registry as pull-through cache, warm",
    "nginx": "nginx, reverse proxy",
    "raw": "mitmdump, transparent, not intercepted",
    "raw-malloc": "… with malloc's thresholds raised",
    "raw-regular": "mitmdump, regular mode, not intercepted",
    "cache-cold": "docker-registry as pull-through cache, cold",
    "streamed": "mitmdump, intercepted and streamed",
    "streamed-malloc": "… with malloc's thresholds raised",
}


PULLS = {
    "direct": "direct",
    "bypass": "metahub-addon (layers past the proxy)",
    "streamed": "mitmdump, intercepted and streamed",
    "private direct": "direct, logged in",
    "private relay": "metahub-addon, logged in (layers relayed)",
}

FLEET_WAYS = {
    "direct": "direct",
    "bare": "mitmdump, reverse, no addon",
    "hub": "metahub-addon as a hub",
}


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [f"# What a pull costs ({results['date']})", _machine(results), _judged(results)]
    for part, section in SECTIONS.items():
        found = results.get(part)
        if found is not None:
            parts.append(section(found) if _measured(found) else _why(part, found))
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def judged_rows(judgements: Sequence[Judgement]) -> list[list[str]]:
    """Target, measured, verdict."""
    return [[one.target, one.measured, VERDICTS[one.met]] for one in judgements]


def _measured(part: Results) -> bool:
    return "skip" not in part and "failed" not in part


def _why(part: str, found: Results) -> str:
    return f"## {part}\n\n" + ("skip: " + found["skip"] if "skip" in found else "failed")


def _machine(results: Results) -> str:
    machine = ", ".join(f"{what} {value}" for what, value in results["machine"].items())
    size = "a quick run: too small to judge by" if results["quick"] else "full sizes"
    return f"{machine}; {size}. Medians of rounds in which all ways took turns."


def _judged(results: Results) -> str:
    return table(("target", "measured", ""), judged_rows(judge(results)))


def _layers(part: Results) -> str:
    rows = [
        [
            name,
            f"{part[key]['MB/s']:.0f}",
            f"{part[key]['of direct']:.2f}",
            _span(part[key]["of direct, rounds"]),
            f"{part[key]['CPU s/GiB']:.2f}" if key != "direct" else "",
        ]
        for key, name in ROUTES.items()
        if key in part
    ]
    head = ("way", "MB/s", "of direct", "rounds", "CPU s/GiB in the proxy")
    return f"## A layer of {part['MiB']} MiB over TLS\n\n{table(head, rows)}"


def _span(values: Sequence[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _pull(part: Results) -> str:
    rows = [
        [PULLS[key], f"{row['seconds']:.2f}", f"{row['of direct']:.2f}"]
        for key, row in part["routes"].items()
    ]
    head = ("way", "seconds", "of direct")
    return f"## `docker pull` of {part['MiB']} MiB\n\n{table(head, rows)}"


def _manifests(part: Results) -> str:
    columns = ("direct p50 ms", "added p50 ms", "direct p99 ms", "added p99 ms")
    rates = ("direct requests/s", "through requests/s")
    rows = [
        [
            case,
            *(f"{row[column]:.1f}" for column in columns),
            *(f"{row[rate]:.0f}" for rate in rates),
            f"{row['CPU ms a request']:.1f}",
            f"{row['asked upstream']:.2f}",
        ]
        for case, row in part["cases"].items()
    ]
    head = ("HEAD of a tag", *columns, *rates, "CPU ms a request", "requests upstream")
    text = (
        "Cold: the index is not in the cache. Kept: one connection a client; new: one a request,"
        " as runtimes make with each pull. Clients, proxy and registry share the machine's cores."
    )
    return f"## A request for a manifest\n\n{text}\n\n{table(head, rows)}"


def _hub(part: Results) -> str:
    cases = {
        "at once": "all at once",
        "paced": f"each every {part['every s']:g} s",
    }
    columns = [f"{kind} {at} ms" for kind in ("HEAD", "GET") for at in ("p50", "p95", "p99")]
    columns += ["pull p50 ms", "pull p99 ms"]
    costs = ("CPU ms a pull", "registry CPU ms a pull")
    rows = [
        [
            f"{cases[case]}: {FLEET_WAYS[way]}",
            f"{row['pulls/s']:.0f}",
            *(f"{row[column]:.1f}" for column in columns),
            f"{row['CPU ms a pull']:.1f}" if way != "direct" else "",
            f"{row['registry CPU ms a pull']:.1f}",
            f"{row['asked upstream']:.2f}",
        ]
        for case, ways in part["cases"].items()
        for way, row in ways.items()
    ]
    head = ("fleet", "pulls/s", *columns, *costs, "requests upstream a pull")
    text = (
        f"{part['machines']} machines of {part['types']} types, {part['tags']} tags, a new TLS"
        " connection a pull: a greeting without a login, HEAD of the tag and GET of its digest,"
        " by a quarter of them GET of the tag alone. (Not through the hub, that is the index, and"
        " the child would be one more request.) All at once: the hub has just started, each"
        " machine got its own child, and each index and child was asked for once."
        " Fleet, proxy and registry share the machine's cores."
    )
    return f"## A fleet at a hub\n\n{text}\n\n{table(head, rows)}"


def _memory(part: Results) -> str:
    keys = ("requests", "GiB past", "GiB streamed", "MiB", "peak MiB")
    samples = part["samples"]
    shown = samples if len(samples) < 8 else [samples[0], samples[1], *samples[5::5]]
    rows = [[f"{sample[key]:g}" for key in keys] for sample in shown]
    return f"## Memory (a cache of {part['cache MiB']} MiB)\n\n{table(keys, rows)}"


def _start(part: Results) -> str:
    return "## Start until it listens\n\n" + _row(part)


def _choose(part: Results) -> str:
    works = ("json.loads", "parse", "choose")
    keys = ("median ms", "first ms", "of json.loads")
    rows = [[work, *(f"{part[work][key]:g}" for key in keys)] for work in works]
    title = f"## An index of {part['children']} children, {part['bytes']} bytes"
    return f"{title}\n\n{table(('work', *keys), rows)}"


def _row(part: Results) -> str:
    return table(tuple(part), [[f"{value:g}" for value in part.values()]])


SECTIONS = {
    "layers": _layers,
    "pull": _pull,
    "manifests": _manifests,
    "hub": _hub,
    "memory": _memory,
    "start": _start,
    "choose": _choose,
}
