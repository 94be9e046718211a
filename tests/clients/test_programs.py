"""What this host is detected to be, and the program that dockerd then runs on it."""

import platform
from typing import Any

import pytest

from clients.programs import LEVEL_OF, VARIANTS, highest_level

pytestmark = pytest.mark.real
MASKS = ("as it is", "without AVX-512", "without AVX2", "without SSE4")


@pytest.fixture(params=MASKS)
def host(request: pytest.FixtureRequest, results: dict[str, Any]) -> dict[str, Any]:
    if platform.machine() != "x86_64":
        pytest.skip("missing: an x86-64 host")
    assert "programs failed" not in results, results["programs failed"]
    found: dict[str, Any] = results["programs"]["hosts"][request.param]
    return found


def test_the_detected_profile_is_accepted(host: dict[str, Any]) -> None:
    assert "machine_type: detected-" in host["profile"]
    assert "cpu_flags:" in host["profile"]
    assert "detected-" in host["check"]


def test_the_chosen_program_runs(host: dict[str, Any]) -> None:
    variant = host["prints"].split()[0]
    assert variant in VARIANTS
    assert host["chosen"] == variant


def test_it_uses_the_level_that_the_host_has_and_none_above(host: dict[str, Any]) -> None:
    """The generic levels by the psABI, straight from the flags that the kernel shows."""
    variant = host["prints"].split()[0]
    assert LEVEL_OF[variant] == highest_level(set(host["flags"]))


def test_no_avx512_where_the_host_has_none(host: dict[str, Any]) -> None:
    if "avx512f" not in host["flags"]:
        variant = host["prints"].split()[0]
        assert LEVEL_OF[variant] != "x86-64-v4"
        lacking = "avx512f" if "avx2" in host["flags"] else "avx"
        assert f"needs {lacking}" in host["explained"]


def test_all_that_is_said_to_fit_really_runs(results: dict[str, Any]) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("missing: an x86-64 host")
    assert "programs failed" not in results, results["programs failed"]
    ran: dict[str, str] = results["programs"]["fitting"]
    assert "generic" in ran
    assert {variant: text.split()[0] for variant, text in ran.items()} == {v: v for v in ran}
    assert len({" ".join(text.split()[1:]) for text in ran.values()}) == 1
