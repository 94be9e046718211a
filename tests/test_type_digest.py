from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

import pytest

from metahub_addon.features import Comparison, Feature
from metahub_addon.machine import Gpus, MachineType, MatchMode, Otherwise
from metahub_addon.oci_platform import Platform
from metahub_addon.type_digest import digest_of

EXACT, VERSION = Comparison.EXACT, Comparison.VERSION
ONE = MachineType(
    name="type1",
    platform=Platform("linux", "amd64"),
    features=(Feature.parse("cpu:zen2"), Feature.parse("nvcap:8.0")),
    prefer=("nvcap", "cpu"),
    compare=MappingProxyType({"mpi": EXACT, "cuda": VERSION}),
    cpu_flags=frozenset({"avx", "avx2", "fma", "bmi1", "bmi2"}),
)
OTHERS: dict[str, Any] = {
    "name": "type2",
    "platform": Platform("linux", "amd64", "v3"),
    "features": ONE.features[::-1],
    "prefer": ("nvcap,cpu",),
    "compare": {"mpi": VERSION, "cuda": EXACT},
    "match": MatchMode.EXACT,
    "otherwise": Otherwise.ERROR,
    "gpus": Gpus.ANY,
    "cpu_flags": frozenset({"avx"}),
}


def test_every_field_counts() -> None:
    assert set(OTHERS) == {field.name for field in fields(MachineType)}
    found = {digest_of(replace(ONE, **{name: value})) for name, value in OTHERS.items()}
    assert len(found | {digest_of(ONE)}) == len(OTHERS) + 1


def test_the_same_is_the_same() -> None:
    again = replace(
        ONE,
        compare={"cuda": VERSION, "mpi": EXACT},
        cpu_flags=frozenset(sorted(ONE.cpu_flags, reverse=True)),
    )
    assert digest_of(again) == digest_of(ONE)


@pytest.mark.parametrize("machine", [ONE, replace(ONE, cpu_flags=frozenset())])
def test_it_fits_into_a_form_and_a_header(machine: MachineType) -> None:
    assert len(bytes.fromhex(digest_of(machine))) == 32


def test_it_is_the_same_in_every_process() -> None:
    """Sets have another order in each process, replicas must agree all the same."""
    known = "164e3e1c59aaf651e868ba72b537143b1d56155cde0091fa7a971af30068c445"
    assert digest_of(ONE) == known


def test_none() -> None:
    assert digest_of(None) == ""
