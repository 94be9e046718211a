import io

from rich.console import Console
from rich.table import Table

from metahub_addon.report import decision_json, decision_table, matrix_table
from metahub_addon.selection import choose
from support.descriptors import child, digest, family, index, machine


def shown(table: Table, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_a_decision_as_data() -> None:
    decision = choose(family([], ["cpu:zen3"], ["cpu:zen5"]), machine("cpu:zen3"))
    data = decision_json(decision)
    assert data["machine_type"] == "host"
    assert data["platform"] == "linux/amd64"
    assert data["features"] == ["cpu:zen3"]
    assert data["chosen"] == digest(1)
    assert data["reason"] == decision.reason
    assert [(c["fits"], c["chosen"]) for c in data["children"]] == [
        (True, False),
        (True, True),
        (False, False),
    ]
    assert data["children"][2]["reasons"] == [
        "cpu:zen5: built for zen5: needs avx512f, avx512bw, avx512cd, avx512dq and 13 more, "
        "this host (zen3) lacks them"
    ]


def test_nothing_chosen_as_data() -> None:
    decision = choose(index(child(1, "x", platform=None)), machine())
    data = decision_json(decision)
    assert data["chosen"] is None
    assert data["children"][0]["platform"] is None


def test_a_table_says_why_of_each() -> None:
    decision = choose(family([], ["cpu:zen3"], ["cpu:zen5"]), machine("cpu:zen3"))
    text = shown(decision_table(decision), 200)
    assert "fits, behind in cpu: generic: requires no feature" in text
    assert "chosen: cpu:zen3: built for this host's zen3" in text
    assert "no: cpu:zen5: built for zen5: needs avx512f, " in text


def test_nothing_is_cut_at_80_columns() -> None:
    decision = choose(family(["some-key:" + "v" * 120]), machine())
    assert shown(decision_table(decision)).count("v") >= 120


def test_an_image_cannot_write_markup() -> None:
    decision = choose(family(["[bold]x[/bold]", "[/]"]), machine())
    for table in (decision_table(decision), matrix_table([decision, decision])):
        assert "[bold]x[/bold]" in shown(table, 200)


def test_a_matrix() -> None:
    image = family([], ["cpu:zen3"], ["cpu:zen4"])
    hosts = [machine("cpu:zen3", name="milan"), machine("cpu:zen2", name="rome")]
    rows = shown(matrix_table([choose(image, host) for host in hosts])).splitlines()
    marks = [row.split("│")[-3:-1] for row in rows if "linux/amd64" in row]
    assert [[mark.strip() for mark in row] for row in marks] == [
        ["fits", "chosen"],
        ["chosen", "-"],
        ["-", "-"],
    ]
