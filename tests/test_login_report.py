import io

import pytest
from rich.console import Console

from metahub_addon.hub_login import HubType, HubTypes, pick
from metahub_addon.login_report import Found, login_json, types_table
from metahub_addon.runtime_login import Runtime
from support.descriptors import machine


def hub_type(name: str, *features: str) -> HubType:
    return HubType(machine=machine(*features, name=name), login=f"qnib-{name}")


TYPES = HubTypes(
    account="qnib",
    types=(
        hub_type("any"),
        hub_type("type1", "cpu:broadwell"),
        hub_type("type4", "cpu:broadwell", "nvcap:5.2"),
    ),
)


def found(chosen: bool = True) -> Found:
    picked = pick(TYPES.types, machine("cpu:broadwell"))
    return Found(types=TYPES, picked=picked, chosen=picked.chosen if chosen else None)


def text(table: object) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table() -> None:
    lines = [line.split("│") for line in text(types_table(found())).splitlines() if "│ " in line]
    rows = [[cell.strip() for cell in line[1:-1]] for line in lines]
    assert [row[:3] for row in rows] == [
        ["any", "linux/amd64", "generic"],
        ["type1", "linux/amd64", "cpu:broadwell"],
        ["type4", "linux/amd64", "cpu:broadwell, nvcap:5.2"],
    ]
    assert [row[3].partition(":")[0] for row in rows] == ["fits", "chosen", "no"]
    assert "chosen" not in text(types_table(found(chosen=False)))


def test_data() -> None:
    command = found().command(Runtime.PODMAN, "hub.test", False)
    given = login_json(found(), command, True)
    types = given.pop("types")
    assert given == {
        "account": "qnib",
        "machine_type": "type1",
        "login": "qnib-type1",
        "runtime": "podman",
        "logged_in": True,
        "reason": "cpu:broadwell: best of 2 that fit, decided by cpu",
    }
    assert [one["fits"] for one in types] == [True, True, False]
    assert [one["chosen"] for one in types] == [False, True, False]
    assert types[2]["login"] == "qnib-type4"
    assert types[2]["reasons"] == ["nvcap:5.2: this host has no nvcap"]


@pytest.mark.parametrize(("runtime", "chosen"), [(None, True), (Runtime.DOCKER, False)])
def test_nothing_to_run(runtime: Runtime | None, chosen: bool) -> None:
    one = found(chosen)
    assert one.command(runtime, "hub.test", False) is None
    given = login_json(one, None, False)
    assert given["runtime"] is None
    assert (given["login"] is None) is not chosen
