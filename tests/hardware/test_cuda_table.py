"""Compute capabilities 5.0 to 12.1, native code and PTX, against what NVIDIA publishes.

The table is written out by hand from the CUDA C++ Programming Guide: 'Binary
Compatibility' (a cubin runs on its own capability and later minors of its major; Tegra and
others apart), 'PTX Compatibility' (every later capability), 'Architecture-Specific' (a)
and 'Family-Specific Features' (f, the table of families).
"""

import pytest

from metahub_addon.cuda import match_native, match_ptx

DISCRETE = ["5.0", "5.2", "6.0", "6.1", "7.0", "7.5", "8.0", "8.6", "8.9"]
DISCRETE += ["9.0", "10.0", "10.3", "12.0", "12.1"]
TEGRA = ["5.3", "6.2", "7.2", "8.7", "8.8", "10.1", "11.0"]
ALL = sorted(DISCRETE + TEGRA, key=lambda text: tuple(map(int, text.split("."))))
# Native code: target → the GPUs that run it.
NATIVE = {
    "5.0": "5.0 5.2",
    "5.2": "5.2",
    "5.3": "5.3",
    "6.0": "6.0 6.1",
    "6.1": "6.1",
    "6.2": "6.2",
    "7.0": "7.0 7.5",
    "7.2": "7.2",
    "7.5": "7.5",
    "8.0": "8.0 8.6 8.9",
    "8.6": "8.6 8.9",
    "8.7": "8.7",
    "8.8": "8.8",
    "8.9": "8.9",
    "9.0": "9.0",
    "10.0": "10.0 10.3",
    "10.1": "10.1",
    "10.3": "10.3",
    "11.0": "11.0",
    "12.0": "12.0 12.1",
    "12.1": "12.1",
    # architecture-specific: nowhere else
    "9.0a": "9.0",
    "10.0a": "10.0",
    "10.1a": "10.1",
    "10.3a": "10.3",
    "11.0a": "11.0",
    "12.0a": "12.0",
    "12.1a": "12.1",
    # family-specific
    "10.0f": "10.0 10.3",
    "10.1f": "10.1",
    "10.3f": "10.3",
    "11.0f": "11.0",
    "12.0f": "12.0 12.1",
    "12.1f": "12.1",
}


def test_the_table_is_complete() -> None:
    assert {target for target in NATIVE if target[-1].isdigit()} == set(ALL)


@pytest.mark.parametrize("target", NATIVE)
@pytest.mark.parametrize("form", ["{}", "sm_{}", "SM_{}", "compute_{}"])
def test_native_code(target: str, form: str) -> None:
    written = form.format(target if form == "{}" else target.replace(".", ""))
    runs = [gpu for gpu in ALL if match_native(written, gpu).holds]
    assert runs == NATIVE[target].split()


@pytest.mark.parametrize("target", NATIVE)
def test_ptx(target: str) -> None:
    """Plain PTX runs on every later capability, with a suffix where native code does."""
    runs = [gpu for gpu in ALL if match_ptx(target, gpu).holds]
    assert runs == (ALL[ALL.index(target) :] if target in ALL else NATIVE[target].split())
