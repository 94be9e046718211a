from dataclasses import replace

import pytest

from metahub_addon.detect import Detection, detect
from metahub_addon.machine import MachineType
from metahub_addon.own_detection import complete
from metahub_addon.probe import ProbeError
from metahub_addon.profile_parser import Profile, Wanted
from support.descriptors import machine
from support.fake_host import FakeHost

HOST = FakeHost(
    files={
        "/etc/site": "north\n\n south \n",
        "/proc/cpuinfo": "flags: mmx sse sse2",
        "/proc/sys/kernel/osrelease": "6.1.0",
    },
    commands={
        "mpirun --version": "mpirun (Open MPI) 4.1.4\n\nReport bugs\n",
        "broken": ProbeError("broken took longer than 5 s"),
        "silent": "\n",
        "odd": "a b\n",
    },
)


def completed(*wanted: Wanted, **stated: object) -> tuple[MachineType, tuple[str, ...]]:
    profile = Profile(replace(machine("gpu:own"), **stated), wanted)  # type: ignore[arg-type]
    return complete(profile, HOST, lambda: detect(HOST))


@pytest.mark.parametrize(
    ("wanted", "features"),
    [
        (Wanted(key="site", file="/etc/site"), ["site:north", "site:south"]),
        (
            Wanted(key="mpi", command=("mpirun", "--version"), pattern=r"\) ([0-9.]+)"),
            ["mpi:4.1.4"],
        ),
        (Wanted(key="mpi", command=("mpirun", "--version"), pattern="Open"), ["mpi:Open"]),
        (
            Wanted(key="mpi", command=("mpirun", "--version"), pattern="MPI. ([0-9.]+)|mpirun"),
            ["mpi:4.1.4"],
        ),
        (Wanted(key="cpu"), ["cpu:x86_64"]),
        (Wanted(key="*"), ["cpu:x86_64", "kernel:6.1.0"]),
    ],
)
def test_what_is_found_is_added(wanted: Wanted, features: list[str]) -> None:
    found, warnings = completed(wanted)
    assert [str(feature) for feature in found.features] == ["gpu:own", *features]
    assert warnings == ()


@pytest.mark.parametrize(
    ("wanted", "warning"),
    [
        (Wanted(key="a", command=("broken",)), "detect.a: broken took longer than 5 s"),
        (Wanted(key="a", command=("none",)), "detect.a: none does not exist"),
        (Wanted(key="a", command=("silent",)), "detect.a: nothing was found"),
        (Wanted(key="a", command=("odd",)), "detect.a: 'a:a b' holds a space, a comma or"),
        (Wanted(key="a", file="/none"), "detect.a: /none does not exist"),
        (Wanted(key="nvcap"), "detect.nvcap: this host has none"),
    ],
)
def test_what_is_not_found_is_a_warning(wanted: Wanted, warning: str) -> None:
    found, warnings = completed(wanted)
    assert [str(feature) for feature in found.features] == ["gpu:own"]
    assert warnings[0].startswith(warning)


def test_the_hosts_flags_come_with_its_cpu() -> None:
    flags = detect(HOST).machine.cpu_flags
    assert completed(Wanted(key="cpu"))[0].cpu_flags == flags
    assert completed(Wanted(key="*"))[0].cpu_flags == flags
    assert completed(Wanted(key="kernel"))[0].cpu_flags == frozenset()
    own = frozenset({"avx"})
    assert completed(Wanted(key="cpu"), cpu_flags=own)[0].cpu_flags == own


def test_the_host_is_looked_at_only_if_asked_for() -> None:
    def never() -> Detection:
        raise AssertionError

    profile = Profile(machine(), (Wanted(key="site", file="/etc/site"),))
    assert complete(profile, HOST, never)[1] == ()
