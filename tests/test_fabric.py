import pytest

from metahub_addon.fabric import find_fabric
from support.fake_host import FakeHost


def device(name: str, state: str, layer: str, vendor: str = "0x15b3") -> dict[str, str]:
    path = f"/sys/class/infiniband/{name}"
    return {
        f"{path}/ports/1/state": state,
        f"{path}/ports/1/link_layer": layer,
        f"{path}/device/vendor": vendor,
    }


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        (device("mlx5_0", "4: ACTIVE", "InfiniBand"), ["infiniband"]),
        (device("mlx5_0", "4: ACTIVE", "Ethernet"), ["roce"]),
        (device("rdmap0s6", "4: ACTIVE", "Unspecified", "0x1d0f"), ["efa"]),
        (device("efa_0", "4: ACTIVE", "Unspecified", ""), ["efa"]),
        (device("hfi1_0", "4: ACTIVE", "InfiniBand"), ["omnipath"]),
        ({"/sys/class/cxi/cxi0/uevent": ""}, ["slingshot"]),
        (
            device("mlx5_0", "4: ACTIVE", "InfiniBand")
            | device("mlx5_1", "4: ACTIVE", "InfiniBand")
            | device("mlx5_2", "4: ACTIVE", "Ethernet"),
            ["infiniband", "roce"],
        ),
        ({}, []),
    ],
)
def test_kinds(files: dict[str, str], kinds: list[str]) -> None:
    found = find_fabric(FakeHost(files=files))
    assert [fact.value for fact in found.facts] == kinds
    assert found.warnings == ()


def test_an_idle_device_is_a_warning() -> None:
    found = find_fabric(FakeHost(files=device("mlx5_0", "1: DOWN", "InfiniBand")))
    assert found.facts == ()
    assert found.warnings == (
        "/sys/class/infiniband/mlx5_0: no port of this infiniband device is active",
    )
