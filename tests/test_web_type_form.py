import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.oci_platform import Platform
from metahub_addon.profile_parser import parse_profile
from metahub_addon.web_type_form import (
    FIELDS,
    TypeForm,
    field_of,
    form_of,
    type_text,
    without_source,
)

PROFILE = """
name: type9
platform: linux/arm64/v8.2
features: [cpu:neoverse_n1, "nvcap:9.0", flag]
prefer: [nvcap, cpu]
compare: {mpi: version, weird: exact}
match: exact
otherwise: error
gpus: any
cpu_flags: sve asimd
"""


def here() -> Platform:
    return Platform("linux", "amd64")


@pytest.mark.parametrize("profile", [PROFILE, "name: plain\nfeatures: []\n"])
def test_there_and_back(profile: str) -> None:
    machine = parse_profile(profile, "x.yaml", here).machine
    text = yaml.safe_dump(dict(type_text(form_of(machine))))
    assert parse_profile(text, "x.yaml", here).machine == machine


def test_what_is_as_by_default_is_left_out() -> None:
    form = TypeForm(name=" a ", features="cpu:zen3\r\n\r\nnvcap:8.0, x:y")
    assert type_text(form) == {"name": "a", "features": ["cpu:zen3", "nvcap:8.0", "x:y"]}
    assert not form.has_more
    assert TypeForm(prefer="cpu").has_more


def test_a_comparison_that_is_none_is_for_the_hub_to_refuse() -> None:
    assert type_text(TypeForm(compare="mpi\n\nx: y"))["compare"] == {"mpi": "", "x": "y"}


@pytest.mark.parametrize(
    ("error", "field"),
    [
        ("machine-types.yaml:2: name: 'x y' is no name", "name"),
        ("/etc/types.yaml:12: types[3].features[1]: 'x' is neither", "features"),
        ("types.yaml:12: types[3].platform: 'x' is not os/architecture", "platform"),
        ("types.yaml:12: types[3].compare.mpi: 'x' is unknown", "compare"),
        ("types.yaml:3: cpu_flags: '!' is no CPU flag", "cpu_flags"),
        ("name: there is a machine type x already", "name"),
        ("/srv/name: x/y.yaml:2: user: is missing", ""),
        ("the disk is full", ""),
    ],
)
def test_the_field_of_an_error(error: str, field: str) -> None:
    assert field_of(error) == field


def test_the_source_of_an_error() -> None:
    assert without_source("request:1: name: is empty") == "name: is empty"
    assert without_source("types.yaml:1: user: is empty") == "types.yaml:1: user: is empty"


@given(st.text())
def test_any_error_has_a_field_or_none(error: str) -> None:
    assert field_of(error) in ("", *FIELDS)
