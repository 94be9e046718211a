import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.hub_login import (
    MAX_TYPES,
    HubTypes,
    InvalidTypes,
    UnknownType,
    named_type,
    parse_types,
    pick,
)
from support.descriptors import machine

TYPES = {
    "generic": [],
    "type1": ["cpu:broadwell"],
    "type2": ["cpu:skylake"],
    "type4": ["cpu:broadwell", "nvcap:5.2"],
}


def answer(**types: list[str]) -> dict[str, Any]:
    return {
        "account": "qnib",
        "types": [
            {"machine_type": name, "platform": "linux/amd64", "features": features}
            for name, features in types.items()
        ],
    }


def parse(document: Any) -> HubTypes:
    return parse_types(json.dumps(document).encode())


ALL = parse(answer(**TYPES)).types


def test_types_and_their_logins() -> None:
    found = parse({**answer(**TYPES), "later": 1})
    assert found.account == "qnib"
    assert [one.login for one in found.types] == [f"qnib-{name}" for name in TYPES]
    assert [list(map(str, one.machine.features)) for one in found.types] == [*TYPES.values()]


def test_a_hub_may_say_that_the_bare_name_will_do() -> None:
    document = answer(type1=[])
    document["types"][0]["login"] = "qnib"
    assert parse(document).types[0].login == "qnib"


def one_type(**changes: Any) -> dict[str, Any]:
    document = answer(type1=["cpu:broadwell"])
    document["types"][0].update(changes)
    return document


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "answer: is not an object"),
        ({}, "account: is not a string"),
        ({**answer(), "account": "a:b"}, "account: 'a:b' is no account's name"),
        ({**answer(), "account": "-p"}, "account: '-p' is no account's name"),
        ({"account": "a"}, "types: is no list"),
        ({"account": "a", "types": [0] * (MAX_TYPES + 1)}, "types: is no list of at most"),
        ({"account": "a", "types": [0]}, r"types\[0\]: is not an object"),
        (one_type(machine_type=1), r"types\[0\].machine_type: is not a string"),
        (one_type(machine_type="a b"), r"types\[0\].machine_type: 'a b' is no machine type's"),
        (one_type(login="root"), r"types\[0\].login: 'root' is not of this account"),
        (one_type(platform="linux/"), r"types\[0\]: "),
        (one_type(features="cpu:zen"), r"types\[0\].features: is not a list"),
        (one_type(features=["cpu:"]), r"types\[0\]: 'cpu:' is neither"),
        (
            {"account": "a", "types": answer(type1=[])["types"] * 2},
            "types: names a machine type twice",
        ),
    ],
)
def test_what_is_no_list_of_types(document: Any, says: str) -> None:
    with pytest.raises(InvalidTypes, match=says):
        parse(document)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 200_000])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(InvalidTypes, match="answer: is not JSON"):
        parse_types(body)


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_an_answer_is_read_or_refused(body: bytes | str) -> None:
    with pytest.raises(InvalidTypes):
        parse_types(body if isinstance(body, bytes) else body.encode())


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        (["cpu:broadwell"], "type1"),
        (["cpu:skylake"], "type2"),
        (["cpu:broadwell", "nvcap:5.2", "kernel:6.1"], "type4"),
        (["cpu:haswell", "nvcap:5.2"], "generic"),
        (["cpu:zen4"], "type2"),  # it has all flags of a skylake
        ([], "generic"),
    ],
)
def test_a_host_is_the_closest_type_that_it_can_be(features: list[str], chosen: str) -> None:
    picked = pick(ALL, machine(*features))
    assert picked.chosen
    assert picked.chosen.machine.name == chosen
    assert picked.fits(picked.chosen)
    assert [one for one, _ in picked.verdicts] == [*ALL]


def test_why() -> None:
    picked = pick(ALL, machine("cpu:broadwell", "nvcap:5.2"))
    assert picked.reason == "cpu:broadwell, nvcap:5.2: best of 3 that fit, decided by nvcap"
    alike = pick(parse(answer(a=["cpu:zen"], b=["cpu:zen"])).types, machine("cpu:zen"))
    assert alike.reason == "cpu:zen: first in the hub's list among equals"


def test_nothing_fits() -> None:
    picked = pick(ALL[1:], machine("cpu:haswell"))
    assert picked.chosen is None
    assert picked.reason == (
        "none of the account's 3 machine types fits this host (linux/amd64, cpu:haswell)"
    )
    assert not any(picked.fits(one) for one in ALL)
    assert "no features" in pick((), machine()).reason


def test_the_level_in_a_types_platform_counts() -> None:
    types = parse(one_type(platform="linux/amd64/v4", features=[])).types
    assert pick(types, machine("cpu:haswell")).chosen is None
    assert pick(types, machine("cpu:skylake_avx512")).chosen is types[0]


def test_a_type_by_name() -> None:
    types = parse(answer(**TYPES))
    assert named_type(types, "type4") is types.types[3]
    with pytest.raises(UnknownType, match="qnib has no machine type 'x', it has: generic, type1"):
        named_type(types, "x")
    with pytest.raises(UnknownType, match="it has: none"):
        named_type(parse(answer()), "x")
