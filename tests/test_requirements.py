import pytest

from metahub_addon.features import Comparison, Feature
from metahub_addon.machine import Gpus, MachineType
from metahub_addon.requirements import Held, Requirements
from support.descriptors import machine


def hold(requires: list[Feature], host: MachineType) -> tuple[Held, ...]:
    return Requirements(host).hold(requires)


def holds(requires: str, *has: str, **more: object) -> bool:
    features = [Feature.parse(text) for text in requires.split()]
    return all(held.match.holds for held in hold(features, machine(*has, **more)))


def why(requires: str, *has: str, **more: object) -> str:
    features = [Feature.parse(text) for text in requires.split()]
    return "; ".join(held.reason for held in hold(features, machine(*has, **more)))


@pytest.mark.parametrize(
    ("requires", "has", "expected"),
    [
        ("cpu:haswell mpi:openmpi", ["cpu:zen2", "mpi:openmpi"], True),
        ("cpu:haswell mpi:openmpi", ["cpu:zen2"], False),
        ("mpi:a", ["mpi:b", "mpi:a"], True),  # one of the machine's values
        ("mpi:a mpi:b", ["mpi:a"], False),  # all of the child's
        ("nvcap:8.0", ["nvcap:8.6"], True),
        ("nvcap:8.0 nvcap:9.0", ["nvcap:9.0"], True),  # a fat binary: one fits
        ("nvcap:8.0 nvcap:9.0", ["nvcap:7.0"], False),
        ("nvcap:8.0 nvptx:8.0", ["nvcap:9.0"], True),  # by its PTX
        ("nvcap:8.0 nvptx:9.0", ["nvcap:8.9"], True),
        ("nvcap:9.0 nvptx:9.0", ["nvcap:8.0"], False),
        ("nvptx:8.0", ["nvptx:9.0"], True),
        ("nvcap:8.0", ["nvptx:9.0"], False),
        ("nvcap:8.0", [], False),
        ("gfx:gfx90a gfx:gfx942", ["gfx:gfx942"], True),
        ("gfx:gfx90a gfx:gfx942", ["gfx:gfx1100"], False),
        ("nvptx:8.0 cuda:12.4", ["nvcap:9.0", "cuda:12.2"], False),  # no PTX of a later CUDA
        ("nvcap:9.0 cuda:12.4", ["nvcap:9.0", "cuda:12.2"], True),
        ("nvptx:8.0 cuda:12.1", ["nvcap:9.0", "cuda:12.2"], True),
        ("cpuflag:avx2", ["cpu:zen2"], True),
        ("cpuflag:avx512f", ["cpu:zen2"], False),
        ("cpuflag:own", ["cpuflag:own"], True),
        ("cpuflag:avx2", ["cpuflag:own", "cpu:zen2"], True),
    ],
)
def test_hold(requires: str, has: list[str], expected: bool) -> None:
    assert holds(requires, *has) is expected


@pytest.mark.parametrize(
    ("requires", "has", "every", "one"),
    [
        ("nvcap:8.0", ["nvcap:8.6", "nvcap:7.5"], False, True),
        ("nvcap:8.0 nvcap:7.5", ["nvcap:8.6", "nvcap:7.5"], True, True),
        ("nvcap:8.0 nvptx:7.0", ["nvcap:8.6", "nvcap:7.5"], True, True),
        ("nvcap:9.0", ["nvcap:8.6", "nvcap:7.5"], False, False),
        ("gfx:gfx90a", ["gfx:gfx90a", "gfx:gfx1030"], False, True),
    ],
)
def test_several_gpus(requires: str, has: list[str], every: bool, one: bool) -> None:
    assert holds(requires, *has) is every
    assert holds(requires, *has, gpus=Gpus.ANY) is one


def test_several_gpus_rank_by_the_one_that_fits_worst_or_best() -> None:
    code = [Feature.parse("nvcap:8.0"), Feature.parse("nvptx:7.0")]
    has = ("nvcap:8.6", "nvcap:7.5")
    assert hold(code, machine(*has))[0].key == "nvptx"
    assert hold(code, machine(*has, gpus=Gpus.ANY))[0].key == "nvcap"


def test_the_host_may_name_what_its_driver_compiles() -> None:
    assert not holds("nvptx:8.0", "nvcap:9.0", "nvptx:7.0")
    assert holds("nvptx:8.0", "nvcap:9.0", "nvcap:8.0", "nvptx:8.0")
    # of several each GPU has its own, in whatever order they are written
    assert not holds("nvptx:9.0", "nvcap:9.0", "nvcap:8.0", "nvptx:8.0", "nvptx:9.0")


def test_a_strict_comparison_of_cuda_leaves_ptx_alone() -> None:
    strict = {"cuda": Comparison.EXACT}
    assert holds("nvptx:8.0 cuda:12.4", "nvcap:9.0", "cuda:12.4", compare=strict)


def test_masked_flags() -> None:
    flags = frozenset({"avx2"})
    assert not holds("cpu:haswell", "cpu:zen2", cpu_flags=flags)
    assert holds("cpuflag:avx2", "cpu:zen2", cpu_flags=flags)


def test_why() -> None:
    assert why("nvcap:9.0a", "nvcap:8.0") == "nvcap:9.0a: built for 9.0a, this GPU is 8.0"
    assert why("nvcap:9.0 nvptx:9.0", "nvcap:8.0") == (
        "nvcap:9.0, nvptx:9.0: built for 9.0, this GPU is 8.0; PTX for 9.0, this GPU is 8.0"
    )
    assert why("nvptx:8.0 cuda:12.4", "nvcap:9.0", "cuda:12.2").startswith(
        "nvptx:8.0: PTX of a later CUDA version than the driver compiles; cuda:12.4: 12.2 runs"
    )
    assert why("mpi:a", "cpu:zen") == "mpi:a: this host has no mpi"
