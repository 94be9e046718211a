"""Measure what a pull costs through the addon, side by side with direct and with others.

Writes results.json, results.md and plots (SVG and PNG) to scripts/bench-results, a part or
a quick run to its folder `partial`. What needs root runs in namespaces of its own. Exit
code 1: something failed, or, but for a quick run, a target is not met.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmark import choose, machine, namespaces, plot, report, start
from benchmark.settings import NEED_ROOT, PARTS, Settings
from benchmark.targets import judge

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "scripts" / "bench-results"


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; none: all"
    )
    parser.add_argument("--quick", action="store_true", help="about a minute; judge nothing by it")
    parser.add_argument("--layer-mib", type=int, default=1024, help="size of the large layer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--children", type=int, default=1000, help="of the index for `choose`")
    parser.add_argument("--addon", default=str(ROOT / "metahub_addon" / "addon.py"))
    parser.add_argument("--output", type=Path, help="the folder of the results")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def measure(parts: list[str], settings: Settings) -> dict[str, Any]:
    """The parts, those in namespaces together."""
    results: dict[str, Any] = {}
    if "choose" in parts:
        results["choose"] = choose.measure(settings.children)
    if "start" in parts:
        results["start"] = start.measure(settings)
    inside = [part for part in parts if part in NEED_ROOT]
    return results | (namespaces.measure(settings, inside) if inside else {})


def write(results: dict[str, Any], folder: Path) -> None:
    """All files of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.md").write_text(report.markdown(results))
    plot.draw(results, folder)


def show(results: dict[str, Any]) -> None:
    """The judgement, and what was skipped or failed."""
    console = Console()
    shown = Table(title="targets")
    for column in ("target", "measured", "verdict"):
        shown.add_column(column)
    for row in report.judged_rows(judge(results)):
        shown.add_row(row[0], row[1], row[2].strip("*"))
    console.print(shown)
    for part in PARTS:
        found = results.get(part, {})
        for word in ("skip", "failed"):
            if word in found:
                console.print(f"{part}: {word}: {found[word]}", markup=False)


def main(arguments: list[str]) -> int:
    """Run the bench."""
    options = parse(arguments)
    settings = Settings(
        addon=options.addon,
        rounds=options.rounds,
        layer_mib=options.layer_mib,
        children=options.children,
    )
    settings = settings.quick() if options.quick else settings
    partial = bool(options.quick or options.parts)  # then the full run's results stay
    results: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "quick": options.quick,
        "machine": machine.describe(),
    }
    results |= measure(options.parts or list(PARTS), settings)
    write(results, options.output or (RESULTS / "partial" if partial else RESULTS))
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        show(results)
    if any("failed" in results.get(part, {}) for part in PARTS):
        return 1
    return 1 if not options.quick and any(one.met is False for one in judge(results)) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
