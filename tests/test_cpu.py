import pytest
from archspec.cpu import TARGETS
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.cpu import host_flags, match_cpu, match_flag
from metahub_addon.microarchitectures import flags_of, is_known, lineage, normalise, offers

names = st.sampled_from(sorted({*TARGETS, "coffeelake", "unheard-of"}))


@pytest.mark.parametrize(
    ("target", "host", "runs"),
    [
        ("broadwell", "broadwell", True),
        ("haswell", "broadwell", True),
        ("x86-64-v3", "broadwell", True),
        ("skylake", "broadwell", False),
        ("x86_64_v4", "skylake", False),
        ("skylake_avx512", "skylake", False),
        ("skylake", "cascadelake", True),
        ("zen2", "zen3", True),
        ("zen3", "zen2", False),
        ("skylake", "coffeelake", True),
        ("coffeelake", "coffeelake", True),
        ("coffeelake", "skylake", True),
        ("cooperlake", "cascadelake", False),
        ("cascadelake", "cooperlake", True),
        ("icelake-server", "emeraldrapids", True),
        ("power8le", "power9le", True),
        ("power9le", "power8le", False),
        ("i686", "x86", False),
        ("i686", "x86_64", True),
        ("haswell", "zen", True),
        ("zen", "haswell", False),
        ("broadwell", "aarch64", False),
        ("neoverse_n1", "neoverse_v1", True),
        ("unheard-of", "unheard_of", True),
        ("unheard-of", "zen5", False),
        ("x86_64", "unheard-of", False),
    ],
)
def test_match_cpu(target: str, host: str, runs: bool) -> None:
    assert match_cpu(target, host).holds is runs


@pytest.mark.parametrize(
    ("target", "host", "flags", "why"),
    [
        ("x86_64_v4", "broadwell", "", "built for x86_64_v4: needs avx512f, avx512bw, avx512cd, "),
        ("zen3", "zen3", "", "built for this host's zen3"),
        ("zen2", "zen3", "", "zen3 runs what was built for zen2"),
        ("haswell", "zen3", "", "this host (zen3) has every flag that haswell needs"),
        (
            "nocona",
            "core2",
            "mmx sse sse2",
            "built for nocona: needs sse3, this host (core2) lacks it",
        ),
        ("power9le", "power8le", "", "built for power9le, this host is power8le"),
        ("power8le", "power8le", "", "built for this host's power8le"),
        ("odd", "odd", "", "built for this host's odd"),
        ("odd", "zen", "", "odd is not a known microarchitecture and this host is zen"),
        ("zen", "odd", "", "built for zen, this host is odd, which is not known"),
        ("power8le", "odd", "x", "built for power8le, this host is odd, which is not known"),
        ("x86_64_v2", "own", "avx2", "built for x86_64_v2: needs mmx, sse, cx16, "),
        ("a64fx", "neoverse_v1", "", "built for a64fx and the length of its vectors, this host"),
    ],
)
def test_why(target: str, host: str, flags: str, why: str) -> None:
    assert match_cpu(target, host, frozenset(flags.split())).why.startswith(why)


def test_flags_tell_of_a_host_with_a_name_of_its_own() -> None:
    flags = offers("haswell")
    distances = [match_cpu(target, "own", flags).distance for target in ("v3", "haswell", "v2")]
    assert None not in distances
    assert distances == sorted(distances, key=lambda distance: distance or ())


def test_what_compilers_emit_on_their_own_is_needed() -> None:
    flags = offers("sapphirerapids")
    assert match_cpu("sapphirerapids", "sapphirerapids", flags).holds
    for flag in ("avx_vnni", "avx512_fp16"):
        assert not match_cpu("emeraldrapids", "sapphirerapids", flags - {flag}).holds


def test_masked_flags_count_more_than_the_name() -> None:
    shown = frozenset(offers("skylake_avx512"))
    assert match_cpu("skylake_avx512", "skylake_avx512", shown).holds
    masked = frozenset(flag for flag in shown if not flag.startswith("avx512"))
    verdict = match_cpu("skylake_avx512", "skylake_avx512", masked)
    assert "needs avx512f" in verdict.why
    assert match_cpu("broadwell", "skylake_avx512", masked).holds
    # What no program depends on may be hidden.
    assert match_cpu("zen3", "zen3", offers("zen3") - {"pku"}).holds


@pytest.mark.parametrize(
    ("host", "order"),
    [
        (
            "zen3",
            ["zen3", "zen2", "zen", "x86_64_v3", "broadwell", "haswell", "ivybridge", "x86_64"],
        ),
        ("cascadelake", ["cascadelake", "skylake_avx512", "x86_64_v4", "skylake", "x86_64_v3"]),
        ("zen4", ["zen4", "x86_64_v4", "icelake", "zen3", "x86_64_v3", "haswell", "core2"]),
        ("neoverse_v2", ["neoverse_v2", "neoverse_n2", "armv8.5a", "neoverse_n1", "aarch64"]),
    ],
)
def test_the_order(host: str, order: list[str]) -> None:
    """The generic level that is used, then the own lineage by depth, then others by flags."""
    distances = [match_cpu(target, host).distance for target in order]
    assert None not in distances
    assert distances == sorted(distances, key=lambda distance: distance or ())


def test_one_flag() -> None:
    has = host_flags(("zen4",), frozenset())
    assert match_flag("AVX512F", has).holds
    assert match_flag("amx_tile", has).why == "needs amx_tile, this host lacks it"
    assert host_flags(("zen4",), frozenset({"avx2"})) == {"avx2"}
    assert host_flags(("unheard-of",), frozenset()) == frozenset()


@given(names)
def test_a_host_runs_its_own_and_nothing_is_closer(name: str) -> None:
    assert match_cpu(name, name).distance == (0,)
    others = (match_cpu(other, name).distance for other in lineage(name) - {normalise(name)})
    assert all(distance is not None and distance > (0,) for distance in others)


@given(names, names, names)
def test_what_runs_is_transitive(a: str, b: str, c: str) -> None:
    if match_cpu(a, b).holds and match_cpu(b, c).holds:
        far, near = match_cpu(a, c).distance, match_cpu(b, c).distance
        assert far is not None
        assert near is not None
        if {a, b} <= lineage(c):
            assert near <= far


@given(names, names, st.sets(st.sampled_from(sorted(flags_of("x86_64") | flags_of("aarch64")))))
def test_more_flags_never_make_an_image_unfit(target: str, host: str, flags: set[str]) -> None:
    own = frozenset(flags) | {"fpu"}
    if match_cpu(target, host, own).holds:
        assert match_cpu(target, host, own | offers_of(host)).holds


def offers_of(name: str) -> frozenset[str]:
    return offers(normalise(name)) if is_known(normalise(name)) else frozenset()
