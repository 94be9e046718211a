"""The page in a real browser, in front of a hub from memory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys

from page.browser import LOOKS, WIDE, Look, Visitor
from page.fake_hub import HOSTILE, PASSWORD, FakeHub, hostile_hub, serving

pytestmark = pytest.mark.real


def wrong_login(visitor: Visitor) -> None:
    visitor.log_in("qnib", "wrong")


def at(path: str, user: str = "qnib") -> Callable[[Visitor], None]:
    def go(visitor: Visitor) -> None:
        visitor.log_in(user, PASSWORD)
        visitor.open(path)

    return go


def open_decision(visitor: Visitor) -> None:
    at("decisions")(visitor)
    visitor.unfold("2025-11-20 10:06:05")


def wrong_type(visitor: Visitor) -> None:
    at("type")(visitor)
    visitor.write("name", "two words")
    visitor.press("Add")


def more_of_a_type(visitor: Visitor) -> None:
    at("type?name=type4")(visitor)
    visitor.unfold("How images are held against it")


def type_in_use(visitor: Visitor) -> None:
    at("remove?name=type2")(visitor)
    visitor.press("Remove type2")


def added(visitor: Visitor) -> None:
    at("")(visitor)
    visitor.add_type("zen3", ["cpu:zen3"])


# All that the page can show, by the name of its picture.
SIGHTS: dict[str, Callable[[Visitor], None]] = {
    "login": lambda visitor: visitor.open("login"),
    "login-wrong": wrong_login,
    "types": at(""),
    "types-added": added,
    "types-of-others": at("", "ops"),
    "types-none": at("", "nobody"),
    "image": at("image?image=qnib/bench:latest"),
    "image-nothing-fits": at("image?image=qnib/gpu-only:v1"),
    "image-missing": at("image?image=nope"),
    "image-none": at("image"),
    "decisions": open_decision,
    "decisions-none": at("decisions", "nobody"),
    "missing": at("missing"),
    "missing-none": at("missing", "nobody"),
    "type-add": at("type"),
    "type-wrong": wrong_type,
    "type-change": more_of_a_type,
    "remove": at("remove?name=type1"),
    "remove-in-use": type_in_use,
    "forbidden": at("type", "ops"),
    "not-found": at("type?name=gone"),
}


@pytest.mark.parametrize("name", SIGHTS)
def test_everybody_can_use_it(visitor: Visitor, name: str) -> None:
    """No rule of accessibility is broken: light and dark, wide and on a phone."""
    SIGHTS[name](visitor)
    assert visitor.console() == []  # before axe adds its own
    assert visitor.violations() == []
    assert visitor.overflow() == 0
    if folder := os.environ.get("METAHUB_PICTURES"):
        for look in (Look(WIDE, "light"), Look(WIDE, "dark")):
            visitor.picture(Path(folder) / f"{name}-{look.scheme}.png", look)


def test_log_in_and_out(visitor: Visitor) -> None:
    visitor.open()
    assert visitor.heading == "Log in"
    visitor.log_in("qnib", "wrong")
    assert "wrong user or password" in visitor.said("alert").lower()
    assert visitor.focused == "alert"
    visitor.log_in("qnib", PASSWORD)
    assert visitor.heading == "Machine types"
    visitor.log_out()
    assert visitor.said("status") == "You are logged out."
    visitor.open("decisions")
    assert visitor.heading == "Log in"


def test_guessing_is_slowed(visitor: Visitor) -> None:
    for _ in range(3):
        visitor.log_in("qnib", "wrong")
    assert "too many wrong passwords" in visitor.said("alert").lower()


def test_machine_types(visitor: Visitor) -> None:
    visitor.log_in("qnib", PASSWORD)
    rows = visitor.table("5 machine types")
    assert rows[3] == {
        "Machine type": "type4",
        "Platform": "linux/amd64",
        "Features": "cpu:broadwell\nnvcap:5.2",
        "Log in as": "qnib-type4",
        "Change": "Change\ntype4\nRemove\ntype4",
    }


def test_the_matrix_of_an_image(visitor: Visitor) -> None:
    visitor.log_in("qnib", PASSWORD)
    visitor.ask("qnib/bench:latest")
    gets = {row["Machine type"]: row["Built for"] for row in visitor.table("What each")}
    assert gets == {
        "type1": "cpu:broadwell",
        "type2": "cpu:skylake",
        "type3": "cpu:coffeelake",
        "type4": "cpu:broadwell\nnvcap:5.2",
        "graviton": "generic",
    }
    matrix = visitor.table("Image by machine type")
    skylake = next(row for row in matrix if row["Needs"].startswith("cpu:skylake"))
    assert skylake["Serves"] == "type2"
    assert skylake["type1"].startswith("no\ncpu:skylake: built for skylake: needs")
    assert skylake["type2"].startswith("chosen\n")
    assert skylake["type3"].startswith("fits, behind in cpu\n")


def test_an_image_that_is_not_there(visitor: Visitor) -> None:
    visitor.log_in("qnib", PASSWORD)
    visitor.ask("nope")
    assert "nope: the registry has no such image" in visitor.said("alert")


def test_decisions_and_what_was_missing(visitor: Visitor) -> None:
    visitor.log_in("qnib", PASSWORD)
    visitor.follow("Decisions")
    visitor.unfold("2025-11-20 10:06:05")
    verdicts = visitor.table("Verdicts on qnib/bench:latest for type1")
    assert verdicts[1]["Verdict"].startswith("chosen\n")
    visitor.follow("Missing")
    (row,) = [row for row in visitor.table("2 gaps") if row["Image"] == "qnib/bench:2019"]
    assert (row["Machine type"], row["Wanted"], row["Times"]) == ("type2", "no such image", "13")


def test_add_change_and_remove_a_type(visitor: Visitor, hub: FakeHub) -> None:
    visitor.log_in("qnib", PASSWORD)
    visitor.add_type("zen3", ["cpu:zen3"])
    assert visitor.said("status") == "Machine type zen3 is added."
    visitor.change_type("zen3", ["cpu:zen3", "nvcap:8.0"])
    assert visitor.said("status") == "Machine type zen3 is changed."
    assert [str(one) for one in hub.config.types["zen3"].features] == ["cpu:zen3", "nvcap:8.0"]
    assert "zen3" in visitor.type_names
    visitor.remove_type("zen3")
    assert visitor.said("status") == "Machine type zen3 is removed."
    assert "zen3" not in visitor.type_names
    assert "zen3" not in hub.config.types


def test_what_is_wrong_leads_to_its_field(visitor: Visitor) -> None:
    wrong_type(visitor)
    assert visitor.focused == "alert"
    visitor.type_keys(Keys.TAB, Keys.ENTER)
    assert visitor.location.endswith("#name")
    assert visitor.focused == "Name"


def test_no_rights(visitor: Visitor) -> None:
    visitor.log_in("ops", PASSWORD)
    assert "Add a machine type" not in visitor.text
    for path in ("type", "type?name=type4", "remove?name=type4"):
        visitor.open(path)
        assert "Only an administrator may change machine types." in visitor.text


def test_the_keyboard_alone(visitor: Visitor, hub: FakeHub) -> None:
    visitor.open()
    visitor.tab_to("Skip to the content")
    visitor.type_keys(Keys.ENTER)
    visitor.tab_to("Account", 1)
    visitor.type_keys("qnib")
    visitor.tab_to("Password", 1)
    visitor.type_keys(PASSWORD, Keys.ENTER)
    visitor.wait_for("Machine types")
    visitor.tab_to("Add a machine type")
    visitor.type_keys(Keys.ENTER)
    visitor.wait_for("Add a machine type")
    visitor.tab_to("Skip to the content", 1)
    visitor.type_keys(Keys.ENTER)
    visitor.tab_to("Name", 1)
    visitor.type_keys("zen3")
    visitor.tab_to("Platform", 1)
    visitor.type_keys("linux/amd64")
    visitor.tab_to("Features", 1)
    visitor.type_keys("cpu:zen3", Keys.ENTER, "nvcap:8.0")
    visitor.tab_to("How images are held against it", 1)
    visitor.type_keys(Keys.SPACE)
    visitor.tab_to("Features of image and machine", 1)
    visitor.type_keys("exact")
    visitor.tab_to("Add")
    visitor.type_keys(Keys.SPACE)
    visitor.wait_for("Machine types")
    assert visitor.said("status") == "Machine type zen3 is added."
    assert hub.config.types["zen3"].match.value == "exact"
    visitor.tab_to("Log out")
    visitor.type_keys(Keys.ENTER)
    visitor.wait_for("Log in")


@pytest.mark.parametrize("path", ["", "image?image={}", "decisions", "missing", "type?name={}"])
def test_hostile_texts(driver: Chrome, path: str) -> None:
    with serving(hostile_hub()) as url:
        visitor = Visitor(driver, url)
        visitor.log_in(HOSTILE, PASSWORD)
        visitor.open(path.format(visitor.quoted(HOSTILE)))
        assert visitor.runs_no_script
        assert HOSTILE in visitor.source_text
        assert visitor.console() == []


def test_looks_are_different(visitor: Visitor) -> None:
    visitor.open("login")
    papers = set()
    for look in LOOKS:
        visitor.look(look)
        papers.add(visitor.paper)
    visitor.look(LOOKS[0])
    assert len(papers) == 2
