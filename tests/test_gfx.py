import pytest

from metahub_addon.gfx import match_gfx


@pytest.mark.parametrize(
    ("target", "host", "runs"),
    [
        ("gfx90a", "gfx90a", True),
        ("gfx90a", "gfx90a:sramecc+:xnack-", True),
        ("amdgcn-amd-amdhsa--gfx90a", "gfx90a", True),
        ("gfx90a:xnack-", "gfx90a:sramecc+:xnack-", True),
        ("gfx90a:xnack+", "gfx90a:sramecc+:xnack-", False),
        ("gfx90a:xnack+", "gfx90a", False),  # the host's mode is not known
        ("gfx908", "gfx90a", False),
        ("gfx9-generic", "gfx906", True),
        ("gfx9-generic", "gfx908", False),  # matrix instructions set it apart
        ("gfx9-generic", "gfx90a", False),
        ("gfx9-4-generic", "gfx942", True),
        ("gfx9-4-generic", "gfx950", True),
        ("gfx10-3-generic", "gfx1030", True),
        ("gfx10-3-generic", "gfx1010", False),
        ("gfx11-generic", "gfx1151", True),
        ("gfx12-generic", "gfx1201", True),
        ("gfx12-generic", "gfx1100", False),
        ("MI250X", "MI250X", True),
        ("MI250X", "gfx90a", False),
        ("gfx90a", "MI250X", False),
    ],
)
def test_match(target: str, host: str, runs: bool) -> None:
    assert match_gfx(target, host).holds is runs


def test_the_processors_own_code_is_closest() -> None:
    host = "gfx942:sramecc+:xnack-"
    order = ["gfx942:sramecc+:xnack-", "gfx942:xnack-", "gfx942", "gfx9-4-generic"]
    distances = [match_gfx(target, host).distance for target in order]
    assert None not in distances
    assert distances == sorted(distances, key=lambda distance: distance or ())


def test_a_users_words() -> None:
    assert match_gfx("gfx908", "gfx90a:xnack-").why == "built for gfx908, this GPU is gfx90a"
    assert match_gfx("gfx90a:xnack+", "gfx90a").why == "needs xnack+, this GPU's mode is unknown"
