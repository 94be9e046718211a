import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.features import Feature
from metahub_addon.login_features import machine_with
from metahub_addon.oci_platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("cpu#zen2", ["cpu:zen2"]),
        ("cpu%23zen2", ["cpu:zen2"]),
        ("cpu#zen2/nvcap#8.0", ["cpu:zen2", "nvcap:8.0"]),
        ("cpu#zen2,nvcap%238.0", ["cpu:zen2", "nvcap:8.0"]),
        ("cpu#znver2/cpu#zen2", ["cpu:zen2"]),
        ("instHT#on/flag", ["instHT:on", "flag"]),
        ("a#b#c", ["a:b#c"]),
    ],
)
def test_features(text: str, features: list[str]) -> None:
    machine = machine_with(text, AMD64)
    assert machine is not None
    assert list(map(str, machine.features)) == features
    assert machine.name == ",".join(features)
    assert machine.platform == AMD64


@pytest.mark.parametrize(
    "text",
    ["", "/", "cpu#", "#zen2", "cpu#zen2/", "/cpu#zen2", "a b", "a\nb", "ü#1", "a/" * 40 + "a"],
)
def test_what_is_no_list_of_features(text: str) -> None:
    assert machine_with(text, AMD64) is None


@pytest.mark.parametrize(
    ("text", "default", "platform"),
    [
        ("cpu#neoverse_n1", AMD64, "linux/arm64"),
        ("cpu#zen2", ARM64, "linux/amd64"),
        ("cpu#zen2", Platform("linux", "amd64", "v3"), "linux/amd64/v3"),
        ("cpu#power9le", AMD64, "linux/ppc64le"),
        ("cpu#unheard_of", ARM64, "linux/arm64"),
        ("nvcap#8.0", ARM64, "linux/arm64"),
    ],
)
def test_the_architecture_is_that_of_the_cpu(text: str, default: Platform, platform: str) -> None:
    machine = machine_with(text, default)
    assert machine is not None
    assert str(machine.platform) == platform


@given(st.text())
def test_any_text_is_features_fit_for_a_header_or_none(text: str) -> None:
    machine = machine_with(text, AMD64)
    if machine is not None:
        assert machine.name.isascii()
        assert machine.name.isprintable()
        assert all(Feature.parse(str(feature)) == feature for feature in machine.features)
