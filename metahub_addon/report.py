"""Decisions as tables for people and as plain structures for programs."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from metahub_addon.detect import Detection
from metahub_addon.index import Child
from metahub_addon.machine import MachineType
from metahub_addon.selection import Decision, Verdict, behind


def machine_json(machine: MachineType) -> dict[str, Any]:
    """A machine type by the keys of its profile."""
    return {
        "machine_type": machine.name,
        "platform": str(machine.platform),
        "features": [str(feature) for feature in machine.features],
    }


def detection_json(detection: Detection) -> dict[str, Any]:
    """A detected host: its profile's keys, the `facts` with their source, the `warnings`."""
    return {
        **machine_json(detection.machine),
        "cpu_flags": sorted(detection.machine.cpu_flags),
        "facts": [{"feature": str(fact), "source": fact.source} for fact in detection.facts],
        "warnings": list(detection.warnings),
    }


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision: `machine_type`, `chosen` (a digest or null), `reason` and the `children`."""
    return {
        **machine_json(decision.machine),
        "chosen": decision.chosen.digest if decision.chosen else None,
        "reason": decision.reason,
        "children": [_verdict_json(decision, verdict) for verdict in decision.verdicts],
    }


def _verdict_json(decision: Decision, verdict: Verdict) -> dict[str, Any]:
    child = verdict.child
    return {
        "digest": child.digest,
        "media_type": child.media_type,
        "size": child.size,
        "platform": str(child.platform) if child.platform else None,
        "requires": [str(feature) for feature in child.requires],
        "fits": verdict.fits,
        "chosen": _is_chosen(decision, child),
        "reasons": list(verdict.reasons),
    }


def decision_table(decision: Decision) -> Table:
    """Every child: what it requires, and whether it fits or why not."""
    table = Table(title=Text(f"for machine type {decision.machine.name}"), expand=False)
    for column in ("#", "image", "platform", "requires", "verdict"):
        table.add_column(column, overflow="fold")
    for at, verdict in enumerate(decision.verdicts):
        chosen = _is_chosen(decision, verdict.child)
        word = "chosen" if chosen else "no"
        if verdict.fits and not chosen:
            word = f"fits, {behind(decision, verdict)}"
        table.add_row(
            str(at),
            *_columns(verdict.child),
            Text(f"{word}: {'; '.join(verdict.reasons)}"),
            style="bold green" if chosen else "" if verdict.fits else "dim",
        )
    return table


def matrix_table(decisions: Sequence[Decision]) -> Table:
    """Image by machine type: which fit, and which each machine type gets."""
    table = Table(title="image by machine type", expand=False)
    for column in ("#", "image", "platform", "requires"):
        table.add_column(column, overflow="fold")
    for decision in decisions:
        table.add_column(Text(decision.machine.name), overflow="fold")
    rows = zip(*(decision.verdicts for decision in decisions), strict=True)
    for at, row in enumerate(rows):
        marks = [
            "chosen" if _is_chosen(decision, verdict.child) else "fits" if verdict.fits else "-"
            for decision, verdict in zip(decisions, row, strict=True)
        ]
        table.add_row(str(at), *_columns(row[0].child), *marks)
    return table


def _columns(child: Child) -> tuple[Text, Text, Text]:
    needs = ", ".join(map(str, child.requires)) or "generic"
    short = child.digest.partition(":")[2][:12]
    return Text(short), Text(str(child.platform or "-")), Text(needs)


def _is_chosen(decision: Decision, child: Child) -> bool:
    return decision.chosen is child
