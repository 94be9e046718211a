from dataclasses import replace

from metahub_addon.index import Index
from metahub_addon.selection import choose
from metahub_addon.web_matrix import Mark, Rows, lately, matrix_rows, verdict_rows
from page.fake_hub import busy_hub, machine_type, make_index

TYPE1 = machine_type("type1", "linux/amd64", ["cpu:broadwell"])
TYPE2 = machine_type("type2", "linux/amd64", ["cpu:skylake"])
ARM = machine_type("arm", "linux/arm64", [])


def test_a_matrix() -> None:
    index = make_index(
        ("linux/amd64", ()),
        ("linux/amd64", ("cpu:broadwell",)),
        ("linux/amd64", ("cpu:skylake",)),
        ("linux/arm64", ()),
    )
    rows = matrix_rows([choose(index, machine) for machine in (TYPE1, TYPE2, ARM)]).shown
    marks = [[cell.mark.value for cell in row.cells] for row in rows]
    assert marks == [
        ["fits", "fits", "no"],
        ["chosen", "fits", "no"],
        ["no", "chosen", "no"],
        ["no", "no", "chosen"],
    ]
    assert [row.serves for row in rows] == [(), ("type1",), ("type2",), ("arm",)]
    assert rows[0].cells[0].words == "fits, behind in cpu"
    assert rows[2].cells[0].reasons[0].startswith("cpu:skylake: ")


def test_equal_children_keep_their_rows() -> None:
    child = make_index(("linux/amd64", ())).children[0]
    index = Index(media_type="x", children=(child, replace(child)))
    decision = choose(index, TYPE1)
    rows = matrix_rows([decision, decision]).shown
    assert [[cell.mark for cell in row.cells] for row in rows] == [
        [Mark.CHOSEN] * 2,
        [Mark.FITS] * 2,
    ]


def test_decisions_that_saw_other_children() -> None:
    amd = make_index(("linux/amd64", ()))
    arm = replace(amd, children=make_index(("linux/amd64", ()), ("linux/arm64", ())).children[1:])
    rows = matrix_rows([choose(amd, TYPE1), choose(arm, ARM)]).shown
    assert [[cell.mark.value for cell in row.cells] for row in rows] == [
        ["chosen", "no"],
        ["no", "chosen"],
    ]
    assert rows[0].cells[1].reasons == ("is in an index for another platform",)


def test_what_a_page_cannot_bear_is_left_out() -> None:
    index = make_index(*[("linux/amd64", ())] * 300, ("linux/amd64", ("cpu:broadwell",)))
    decision = choose(index, TYPE1)
    rows = verdict_rows(decision)
    assert (len(rows.shown), rows.left_out) == (100, 201)
    assert rows.shown[-1].cells[0].mark is Mark.CHOSEN
    assert rows.shown[0].cells[0].words == "fits, behind in cpu"
    assert len(matrix_rows([decision] * 100).shown) == 40
    assert len(matrix_rows([decision] * 1000).shown) == 20
    assert matrix_rows([decision]).left_out == 0


def test_lately() -> None:
    hub = busy_hub()
    assert lately(hub.made, 20) == hub.made[:4]
    assert lately(hub.made, 0) == hub.made[:1]
    assert lately(hub.made, 1000) == hub.made
    assert lately([], 5) == []


def test_no_decisions() -> None:
    assert matrix_rows([]) == Rows((), 0)


def test_a_decision_by_itself() -> None:
    decision = choose(make_index(("linux/amd64", ("cpu:skylake",))), TYPE1)
    (row,) = verdict_rows(decision).shown
    assert (row.image.requires, row.cells[0].words) == (("cpu:skylake",), "no")
