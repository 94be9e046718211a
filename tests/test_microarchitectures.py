import pytest
from archspec.cpu import TARGETS

from metahub_addon.microarchitectures import (
    _ALIASES,
    _BUILT_ON,
    INERT,
    executes,
    family,
    flags_of,
    is_known,
    level,
    lineage,
    needs,
    normalise,
    offers,
)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x86-64-v3", "x86_64_v3"),
        ("x86_64_v3", "x86_64_v3"),
        ("v3", "x86_64_v3"),
        ("v1", "x86_64"),
        ("x86-64-v1", "x86_64"),
        ("amd64", "x86_64"),
        (" Skylake-AVX512 ", "skylake_avx512"),
        ("arm64", "aarch64"),
        ("znver3", "zen3"),
        ("graviton3", "neoverse_v1"),
        ("armv8.2-a", "armv8.2a"),
        ("armv9-a", "armv9.0a"),
        ("core-avx2", "haswell"),
    ],
)
def test_normalise(text: str, name: str) -> None:
    assert normalise(text) == name


@pytest.mark.parametrize(
    "name", sorted({*_ALIASES.values(), *(of for of, _ in _BUILT_ON.values())})
)
def test_other_names_stand_for_targets_of_archspec(name: str) -> None:
    assert name in TARGETS


@pytest.mark.parametrize("name", sorted({*_ALIASES, *_BUILT_ON}))
def test_other_names_hide_no_target_of_archspec(name: str) -> None:
    assert name not in TARGETS


def test_lineage() -> None:
    assert {"coffeelake", "skylake", "haswell", "x86_64_v3", "x86_64"} <= lineage("coffeelake")
    assert lineage("unheard-of") == {"unheard_of"}
    assert not is_known("unheard_of")


def test_needs_and_offers() -> None:
    assert "pku" not in needs("zen3")
    assert {"rdrand", "adx", "rdpid"} <= offers("zen3")
    assert "rdrand" not in needs("zen3")
    assert needs("cooperlake") - needs("cascadelake") == {"avx512_bf16"}
    assert {"sve2", "sb", "atomics"} <= needs("armv9.0a")
    assert INERT.isdisjoint(flags_of("x86_64"))
    for name in TARGETS:
        assert needs(name) <= offers(name)


def test_families_and_levels() -> None:
    assert family("coffeelake") == "x86_64"
    assert [level(name) for name in ("core2", "haswell", "x86_64_v4", "power9le")] == [0, 2, 3, 0]
    assert executes("zen", "i686")
    assert not executes("x86", "i686")
    assert not executes("power9le", "power8le")
    assert not executes("aarch64", "x86_64")
