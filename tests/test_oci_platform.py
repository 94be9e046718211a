import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.oci_platform import InvalidPlatform, Platform, distance


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/x86_64", "linux/amd64"),
        ("linux/x86-64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_parse(text: str, shown: str) -> None:
    platform = Platform.parse(text)
    assert str(platform) == shown
    assert Platform.parse(shown) == platform


@pytest.mark.parametrize("text", ["linux", "linux/", "a/b/c/d", "li nux/amd64", "/amd64", "a/b\n"])
def test_what_is_no_platform(text: str) -> None:
    with pytest.raises(InvalidPlatform):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("image", "machine", "runs"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64/v4", "linux/amd64", True),  # judged as a CPU feature
        ("linux/386", "linux/amd64", True),
        ("linux/amd64", "linux/386", False),
        ("linux/arm64", "linux/amd64", False),
        ("windows/amd64", "linux/amd64", False),
        ("linux/arm/v6", "linux/arm/v7", True),
        ("linux/arm/v7", "linux/arm/v6", False),
        ("linux/arm/v7", "linux/arm64", True),
        ("linux/arm/vx", "linux/arm64", False),
        ("linux/arm64", "linux/arm64/v9", True),
        ("linux/arm64/v9", "linux/arm64", False),
        ("linux/arm64/v9", "linux/arm64/v9", True),
        ("linux/arm64/v8.5", "linux/arm64/v9.0", True),
        ("linux/arm64/v8.6", "linux/arm64/v9.0", False),
        ("linux/arm64/odd", "linux/arm64", False),
        ("linux/ppc64le", "linux/ppc64le", True),
        ("linux/ppc64le/power9", "linux/ppc64le/power9", True),
        ("linux/ppc64le/power9", "linux/ppc64le", False),
    ],
)
def test_distance(image: str, machine: str, runs: bool) -> None:
    assert (distance(Platform.parse(image), Platform.parse(machine)) is not None) is runs


def test_the_native_architecture_comes_before_a_compatible_one() -> None:
    for machine, compatible in (("linux/amd64", "linux/386"), ("linux/arm64", "linux/arm/v7")):
        host = Platform.parse(machine)
        near, far = distance(host, host), distance(Platform.parse(compatible), host)
        assert near is not None
        assert far is not None
        assert near < far


arms = st.sampled_from(["linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm64"])


@given(arms, arms)
def test_of_two_platforms_at_most_one_runs_the_other(a: str, b: str) -> None:
    one, other = Platform.parse(a), Platform.parse(b)
    both = distance(one, other) is not None and distance(other, one) is not None
    assert both is (one == other)
