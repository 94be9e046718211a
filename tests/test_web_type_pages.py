import re

import httpx
import pytest

from metahub_addon.machine import MatchMode
from page.client import token, visiting
from page.fake_hub import HOSTILE, FakeHub

FORM = {"platform": "linux/amd64", "features": "cpu:zen3\r\nnvcap:8.0"}


async def test_add() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        response = await client.send_form("/type", name="zen3", **FORM)
    assert (response.status_code, response.headers["Location"]) == (303, "./")
    assert [str(one) for one in hub.config.types["zen3"].features] == ["cpu:zen3", "nvcap:8.0"]


async def test_change_keeps_what_is_not_changed() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        exact = {**FORM, "match": "exact", "prefer": "nvcap\ncpu"}
        await client.send_form("/type", name="zen3", **exact)
        form = (await client.get("/type?name=zen3")).text
        assert "<option selected>exact</option>" in form
        assert ">\nnvcap\ncpu</textarea>" in form
        assert '<details class="more" open>' in form
        response = await client.change("/type?name=zen3", was="zen3", name="renamed", **exact)
    assert response.status_code == 303
    assert hub.config.types["zen3"].match is MatchMode.EXACT
    assert "renamed" not in hub.config.types


@pytest.mark.parametrize(
    ("fields", "status", "problem", "field"),
    [
        ({"name": "type1"}, 409, "there is a machine type type1 already", "name"),
        ({"name": "x y"}, 400, "is no name", "name"),
        ({"name": ""}, 400, "is empty", "name"),
        ({"name": HOSTILE}, 400, "is no name", "name"),
        ({"name": "x", "platform": "linux"}, 400, "is not os/architecture", "platform"),
        ({"name": "x", "features": "cpu:"}, 400, "is neither key:value nor a flag", "features"),
        ({"name": "x", "match": "roughly"}, 400, "known are compatible, exact", "match"),
        ({"name": "x", "compare": "mpi: newest"}, 400, "known are", "compare"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field(
    fields: dict[str, str], status: int, problem: str, field: str
) -> None:
    hub = FakeHub()
    before = dict(hub.config.types)
    async with visiting(hub) as client:
        await client.log_in()
        response = await client.send_form("/type", **fields)
    text = response.text
    assert response.status_code == status
    assert problem in text
    assert f'<a href="#{field}">' in text
    assert text.count('aria-invalid="true"') == 1
    assert f'aria-describedby="{field}-hint problem" aria-invalid="true"' in " ".join(text.split())
    assert "<title>Error: Add a machine type" in text
    assert "<script" not in text
    assert hub.config.types == before


async def test_what_was_written_is_kept() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        response = await client.send_form("/type", name="x y", features="a:b\nc:d", prefer="a")
    assert ">\na:b\nc:d</textarea>" in response.text
    assert ">\na</textarea>" in response.text


async def test_a_type_that_is_gone() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        assert (await client.get("/type?name=gone")).status_code == 404
        assert (await client.send_form("/type", was="gone", **FORM)).status_code == 404
        assert (await client.get("/remove?name=gone")).status_code == 404
        assert (await client.send_form("/remove", "/type", name="gone")).status_code == 404


async def test_remove() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        response = await client.change("/remove?name=type1", name="type1")
        assert response.headers["Location"] == "./"
        assert "Machine type type1 is removed." in (await client.get("/")).text
    assert "type1" not in hub.config.types


async def test_a_type_in_use_is_not_removed() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        response = await client.change("/remove?name=type2", name="type2")
    assert response.status_code == 409
    assert "networks[0]: names type type2" in response.text
    assert "type2" in hub.config.types


async def test_a_file_that_cannot_be_written() -> None:
    async with visiting(FakeHub(read_only=True)) as client:
        await client.log_in()
        added = await client.send_form("/type", name="x")
        removed = await client.change("/remove?name=type1", name="type1")
    for response in (added, removed):
        assert response.status_code == 409
        assert "written" in response.text


@pytest.mark.parametrize("path", ["/type", "/type?name=type4", "/remove?name=type4"])
async def test_no_rights(path: str) -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in("ops")
        shown = await client.get(path)
        sent = await client.send_form(path, "/", name="type4", **FORM)
    for response in (shown, sent):
        assert response.status_code == 403
        assert "Only an administrator may change machine types." in response.text
    assert "zen3" not in str(hub.config.types)


async def test_rights_that_are_lost_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page asks first, the hub decides."""

    async def refuse(self: FakeHub, account: object, what: object, shown: str) -> None:
        self._check(self.config.accounts["ops"])

    monkeypatch.setattr(FakeHub, "put_type", refuse)
    monkeypatch.setattr(FakeHub, "remove_type", refuse)
    async with visiting(FakeHub()) as client:
        await client.log_in()
        added = await client.send_form("/type", name="x")
        removed = await client.change("/remove?name=type1", name="type1")
    for response in (added, removed):
        assert response.status_code == 403
        assert "ops is no administrator" in response.text


# --- changes that cross each other


def shown_in(response: httpx.Response) -> str:
    found = re.search(r'name="shown" value="([0-9a-f]*)"', response.text)
    assert found
    return found[1]


async def test_a_change_of_somebody_elses_is_not_lost_without_a_word() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        form = await client.get("/type?name=type1")
        hub.change_type("type1", "cpu:zen4")
        theirs = hub.config.types["type1"]
        fields = {"_xsrf": token(form), "was": "type1", **FORM}
        crossed = await client.post("/type", data={**fields, "shown": shown_in(form)})
        assert crossed.status_code == 409
        assert hub.config.types["type1"] == theirs
        assert "Somebody else has changed it since you opened this." in crossed.text
        assert (
            'href="type?name=type1" target="_blank" rel="noopener">type1 as it is' in crossed.text
        )
        assert "cpu:zen3\r\nnvcap:8.0</textarea>" in crossed.text  # what was written is kept
        again = await client.post("/type", data={**fields, "shown": shown_in(crossed)})
    assert again.status_code == 303
    assert str(hub.config.types["type1"].features[0]) == "cpu:zen3"


async def test_a_change_that_is_wrong_first_is_still_held_against_what_was_shown() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        form = await client.get("/type?name=type1")
        fields = {"_xsrf": token(form), "was": "type1", "shown": shown_in(form)}
        wrong = await client.post("/type", data={**fields, "features": "cpu:"})
        assert wrong.status_code == 400
        assert "as it is now" not in wrong.text
        hub.change_type("type1", "cpu:zen4")
        fields["shown"] = shown_in(wrong)
        assert (await client.post("/type", data={**fields, **FORM})).status_code == 409


@pytest.mark.parametrize("shown", [{}, {"shown": ""}, {"shown": "0" * 64}])
async def test_a_change_of_nothing_that_was_shown(shown: dict[str, str]) -> None:
    hub = FakeHub()
    before = hub.config.types["type1"]
    async with visiting(hub) as client:
        await client.log_in()
        response = await client.send_form("/type", was="type1", **FORM, **shown)
    assert response.status_code == 409
    assert hub.config.types["type1"] == before


async def test_a_type_that_changes_before_it_is_removed() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        question = await client.get("/remove?name=type1")
        hub.change_type("type1", "cpu:zen4")
        fields = {"_xsrf": token(question), "name": "type1"}
        crossed = await client.post("/remove", data={**fields, "shown": shown_in(question)})
        assert crossed.status_code == 409
        assert "Somebody else has changed it" in crossed.text
        assert "type1 as it is now" in crossed.text
        assert "type1" in hub.config.types
        again = await client.post("/remove", data={**fields, "shown": shown_in(crossed)})
    assert again.status_code == 303
    assert "type1" not in hub.config.types


@pytest.mark.parametrize(("path", "fields"), [("/type", {"was": "type1"}), ("/remove", {})])
async def test_a_type_that_goes_meanwhile(
    monkeypatch: pytest.MonkeyPatch, path: str, fields: dict[str, str]
) -> None:
    """Found by the hub only: when the page looked, it was still there."""
    hub, compare = FakeHub(), FakeHub._compare

    def gone(self: FakeHub, name: str, shown: str | None) -> None:
        self.change_type(name)
        compare(self, name, shown)

    monkeypatch.setattr(FakeHub, "_compare", gone)
    async with visiting(hub) as client:
        await client.log_in()
        response = await client.change(f"{path}?name=type1", name="type1", **fields)
    assert response.status_code == 404
    assert "type1" not in hub.config.types
