"""The results as pictures: SVG with its text as text, and PNG."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.targets import WORKING_MIB

Results = Mapping[str, Any]
OURS, OTHERS, TEXT, FAINT = "#0b7a75", "#b8c0c8", "#1f2933", "#6b7782"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "metahub-addon",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 10.5,
    "text.color": TEXT,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": TEXT,
    "xtick.color": FAINT,
    "ytick.color": TEXT,
}
# From the best to the worst; what differs in malloc's thresholds only is in the table.
WAYS = {
    "bypass": "metahub-addon",
    "relay": "metahub-addon, logged in",
    "cache-warm": "pull-through cache, warm",
    "raw": "mitmdump, not intercepted",
    "nginx": "nginx reverse proxy",
    "cache-cold": "pull-through cache, cold",
    "streamed": "mitmdump, intercepted",
}
OUR_WAYS = frozenset({"bypass", "relay"})
CASES = {
    "warm, 1 client, kept": "1 client, connection kept",
    "warm, 1 client, new": "1 client, new connections",
    "cold, 1 client, kept": "1 client, kept, index not cached",
    "warm, 50 clients, kept, each once a second": "50 clients a second, kept",
    "warm, 50 clients, new, each once a second": "50 clients a second, new",
    "warm, 50 clients, kept": "50 clients without a pause, kept",
    "warm, 50 clients, new": "50 clients without a pause, new",
}


def draw(results: Results, folder: Path) -> None:
    """Draw what was measured."""
    for part, picture in PICTURES.items():
        found = results.get(part, {"skip": ""})
        if "skip" in found or "failed" in found:
            continue
        with mpl.rc_context(STYLE):
            figure = picture(found, _small_print(results))
            for kind in ("svg", "png"):
                figure.savefig(
                    folder / f"{part}.{kind}",
                    dpi=144,
                    facecolor="white",
                    metadata={"Date": None} if kind == "svg" else {"Software": None},
                )


def _small_print(results: Results) -> str:
    machine = results["machine"]
    parts = [f"{machine['cores']} cores", machine["CPU"], f"mitmproxy {machine['mitmproxy']}"]
    return ", ".join([*parts, results["date"]])


def _figure(title: str, height: float, small_print: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, height), layout=None)
    axes = figure.add_axes((0.335, 0.62 / height, 0.635, 1 - 1.35 / height))
    figure.text(0.03, 1 - 0.38 / height, title, fontsize=14, fontweight="bold", va="center")
    figure.text(0.03, 0.16 / height, small_print, fontsize=8, color=FAINT, va="center")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure, axes


def _layers(part: Results, small_print: str) -> Figure:
    ways = sorted((way for way in WAYS if way in part), key=lambda way: part[way]["of direct"])
    shares = [part[way]["of direct"] for way in ways]
    title = f"A layer of {_size(part['MiB'])}: share of the direct speed"
    figure, axes = _figure(title, 1.5 + 0.42 * len(ways), small_print)
    colours = [OURS if way in OUR_WAYS else OTHERS for way in ways]
    axes.barh([WAYS[way] for way in ways], shares, color=colours, height=0.68)
    axes.plot([1, 1], [-0.5, len(ways) - 0.5], color=TEXT, linewidth=1, dashes=(4, 3), zorder=0)
    for at, way in enumerate(ways):
        colour, weight = ("white", "bold") if way in OUR_WAYS else (TEXT, "normal")
        axes.text(0.015, at, f"{shares[at]:.2f}", va="center", color=colour, fontweight=weight)
        paid = f"{part[way]['CPU s/GiB']:.2f} CPU s/GiB"
        card = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.text(shares[at] + 0.02, at, paid, va="center", fontsize=9.5, bbox=card)
    direct = f"direct: {part['direct']['MB/s']:.0f} MB/s"
    axes.text(1, len(ways) - 0.45, direct, ha="center", va="bottom", fontsize=9.5)
    axes.set_xlim(0, max(1.25, max(shares) + 0.25))
    axes.set_ylim(-0.6, len(ways) - 0.4)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    for label, way in zip(axes.get_yticklabels(), ways, strict=True):
        label.set_fontweight("bold" if way in OUR_WAYS else "normal")
    return figure


def _size(mib: int) -> str:
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"


def _manifests(part: Results, small_print: str) -> Figure:
    cases = [case for case in reversed(CASES) if case in part["cases"]]
    title = "A request for a manifest, direct and through metahub-addon"
    figure, axes = _figure(title, 1.6 + 0.6 * len(cases), small_print)
    for at, case in enumerate(cases):
        row = part["cases"][case]
        for kind, colour, shift in (("direct", FAINT, 0.15), ("through", OURS, -0.15)):
            low, high = row[f"{kind} p50 ms"], row[f"{kind} p99 ms"]
            axes.plot([low, high], [at + shift] * 2, color=colour, linewidth=3,
                      solid_capstyle="round")  # fmt: skip
            axes.plot([low], [at + shift], "o", color=colour, markersize=6)
            axes.text(high * 1.12, at + shift, f"{_ms(low)} … {_ms(high)} ms", va="center",
                      fontsize=9, color=colour)  # fmt: skip
    top = len(cases) - 0.5
    axes.text(0, 1.01, "direct", color=FAINT, fontsize=9.5, transform=axes.transAxes)
    axes.text(0.1, 1.01, "through", color=OURS, fontsize=9.5, transform=axes.transAxes)
    axes.text(1, 1.01, "from the median (dot) to the 99th percentile", ha="right", fontsize=9.5,
              transform=axes.transAxes)  # fmt: skip
    axes.set_yticks(range(len(cases)), [CASES[case] for case in cases])
    axes.set_ylim(-0.5, top)
    axes.set_xscale("log")
    highest = max(row["through p99 ms"] for row in part["cases"].values())
    axes.set_xlim(0.5, max(1000, highest * 4))
    axes.set_xticks([1, 10, 100, 1000], ["1 ms", "10 ms", "100 ms", "1 s"])
    axes.minorticks_off()
    return figure


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _memory(part: Results, small_print: str) -> Figure:
    samples = part["samples"]
    requests = [sample["requests"] for sample in samples]
    sizes = [sample["MiB"] for sample in samples]
    last = samples[-1]
    title = (
        f"Resident memory of mitmdump: {last['requests']:,} requests,"
        f" {last['GiB past']:g} GiB of layers"
    )
    figure, axes = _figure(title, 3.6, small_print)
    axes.set_position((0.09, 0.2, 0.86, 0.62))
    axes.plot(requests, sizes, color=OURS, linewidth=2.5)
    axes.text(requests[-1], sizes[-1] + 4, f"{sizes[-1]:.0f} MiB", ha="right", color=OURS,
              fontweight="bold")  # fmt: skip
    bound = sizes[0] + part["cache MiB"] + WORKING_MIB
    axes.axhline(bound, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    text = f"the cache's {part['cache MiB']} MiB and {WORKING_MIB:g} MiB under way"
    axes.text(requests[-1], bound - 3, text, color=FAINT, fontsize=9.5, va="top", ha="right")
    axes.set_ylim(0, max(*sizes, bound) * 1.25)
    axes.set_xlim(0, requests[-1])
    axes.set_xlabel("requests for manifests")
    axes.set_ylabel("MiB")
    axes.tick_params(axis="y", colors=FAINT)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    return figure


PICTURES: dict[str, Callable[[Results, str], Figure]] = {
    "layers": _layers,
    "manifests": _manifests,
    "memory": _memory,
}
