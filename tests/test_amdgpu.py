import pytest

from metahub_addon.amdgpu import find_amdgpu, gfx_name
from metahub_addon.probe import Fact
from support.fake_host import FakeHost

NODE = "/sys/class/kfd/kfd/topology/nodes/{}/properties"


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (90006, "gfx906"),
        (90008, "gfx908"),
        (90010, "gfx90a"),
        (90012, "gfx90c"),
        (90402, "gfx942"),
        (90500, "gfx950"),
        (100306, "gfx1036"),
        (110000, "gfx1100"),
        (110501, "gfx1151"),
        (120001, "gfx1201"),
    ],
)
def test_names(version: int, name: str) -> None:
    assert gfx_name(version) == name


def test_each_kind_once_and_the_version_of_rocm() -> None:
    cpu, gpu = "simd_count 0\ngfx_target_version 0\n", "simd_count 4\ngfx_target_version 90010\n"
    files = {NODE.format(0): cpu, NODE.format(1): gpu, NODE.format(2): gpu}
    found = find_amdgpu(FakeHost(files={**files, "/opt/rocm/.info/version": "5.7.1-98\n"}))
    assert found.facts == (
        Fact("gfx", "gfx90a", NODE.format(1)),
        Fact("rocm", "5.7.1", "/opt/rocm/.info/version"),
    )


def test_rocm_without_a_gpu_is_no_fact() -> None:
    assert find_amdgpu(FakeHost(files={"/opt/rocm/.info/version": "5.7.1"})).facts == ()
