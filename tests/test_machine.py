from metahub_addon.features import Comparison
from metahub_addon.oci_platform import Platform
from support.descriptors import machine


def test_values() -> None:
    host = machine("nvcap:7.0", "nvcap:8.0", "cpu:zen2", platform=Platform("linux", "amd64", "v3"))
    assert host.values("nvcap") == ("7.0", "8.0")
    assert host.values("nvptx") == ("7.0", "8.0")
    assert host.values("cpu") == ("zen2", "x86_64_v3")
    assert host.values("mpi") == ()
    assert machine("nvptx:6.0", "nvcap:7.0").values("nvptx") == ("6.0",)


def test_comparisons() -> None:
    host = machine(compare={"mpi": Comparison.VERSION, "cuda": Comparison.EXACT})
    assert host.comparison("mpi") is Comparison.VERSION
    assert host.comparison("cuda") is Comparison.EXACT
    assert host.comparison("cpu") is Comparison.CPU
    assert host.comparison("anything") is Comparison.EXACT


def test_the_ranking_starts_with_what_the_profile_prefers() -> None:
    ranking = machine(prefer=("mpi", "license")).ranking
    assert ranking[:3] == ("mpi", "license", "nvcap")
    assert len(set(ranking)) == len(ranking)
