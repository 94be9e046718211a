import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.cuda import Capability, compiles, match_cuda, match_native, match_ptx

CAPABILITIES = (
    *("5.0", "5.2", "5.3", "6.0", "6.1", "6.2", "7.0", "7.2", "7.5", "8.0", "8.6", "8.7"),
    *("8.9", "9.0", "10.0", "10.1", "10.3", "11.0", "12.0", "12.1"),
)
capabilities = st.sampled_from(CAPABILITIES)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("5.2", "5.2"),
        ("sm_80", "8.0"),
        ("compute_80", "8.0"),
        ("SM_90A", "9.0a"),
        ("sm_100f", "10.0f"),
        ("12.1", "12.1"),
        ("eight", "None"),
        ("8", "None"),
        ("8.0b", "None"),
    ],
)
def test_parse(text: str, shown: str) -> None:
    assert str(Capability.parse(text)) == shown


@pytest.mark.parametrize(
    ("target", "host", "native", "ptx"),
    [
        ("5.2", "5.2", True, True),
        ("5.0", "5.2", True, True),
        ("5.2", "5.0", False, False),
        ("5.2", "6.0", False, True),
        ("8.0", "8.6", True, True),
        ("8.6", "8.0", False, False),
        ("8.0", "8.7", False, True),  # discrete code on an integrated GPU
        ("8.7", "8.9", False, True),
        ("8.7", "8.7", True, True),
        ("9.0a", "9.0", True, True),
        ("9.0a", "10.0", False, False),
        ("10.0f", "10.3", True, True),
        ("10.0f", "10.1", False, False),
        ("10.0f", "12.0", False, False),
        ("12.0f", "12.1", True, True),
        ("12.1f", "12.0", False, False),
        ("odd", "odd", True, True),
        ("odd", "8.0", False, False),
        ("8.0", "odd", False, False),
    ],
)
def test_match(target: str, host: str, native: bool, ptx: bool) -> None:
    assert match_native(target, host).holds is native
    assert match_ptx(target, host).holds is ptx


def test_code_tied_to_the_gpu_is_closest() -> None:
    distances = [match_native(target, "10.0").distance for target in ("10.0a", "10.0f", "10.0")]
    assert None not in distances
    assert distances == sorted(distances, key=lambda d: d or ())
    assert len(set(distances)) == 3


@given(capabilities, capabilities)
def test_native_code_never_crosses_a_major_nor_runs_on_less(target: str, host: str) -> None:
    if match_native(target, host).holds:
        wanted, has = Capability.parse(target), Capability.parse(host)
        assert wanted
        assert has
        assert wanted.major == has.major
        assert wanted.minor <= has.minor
        assert match_ptx(target, host).holds


@pytest.mark.parametrize(
    ("required", "has", "runs", "compiled"),
    [
        ("12.2", "12.2", True, True),
        ("11.8", "12.2", True, True),
        ("10.2", "12.2", True, True),
        ("12.4", "12.2", True, False),  # minor-version compatibility: no PTX
        ("12", "12.2", True, True),
        ("12.4.1", "12.2", True, False),
        ("13.0", "12.9", False, False),
        ("11.8", "11.1", True, False),
        ("11.8", "11.0", False, False),  # came with drivers below 450.80.02
        ("10.2", "10.1", False, False),  # before CUDA 11
        ("odd", "odd", True, False),
        ("odd", "12.2", False, False),
    ],
)
def test_cuda_versions(required: str, has: str, runs: bool, compiled: bool) -> None:
    assert match_cuda(required, has).holds is runs
    assert compiles(required, has) is compiled


def test_what_needs_no_minor_version_compatibility_comes_first() -> None:
    distances = [match_cuda(version, "12.2").distance for version in ("12.2", "11.8", "12.4")]
    assert distances == sorted(distances, key=lambda distance: distance or ())


def test_a_users_words() -> None:
    assert match_native("sm_90a", "8.0").why == "built for sm_90a, this GPU is 8.0"
    assert match_ptx("compute_90", "8.0").why == "PTX for compute_90, this GPU is 8.0"
