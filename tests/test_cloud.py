import pytest

from metahub_addon.cloud import find_cloud, find_threads, split_azure, split_ec2, split_google
from support.fake_host import FakeHost

LINK_LOCAL = "http://169.254.169.254"


def dmi(**names: str) -> dict[str, str]:
    return {f"/sys/class/dmi/id/{name}": f"{value}\n" for name, value in names.items()}


def test_how_clouds_name_their_kinds() -> None:
    assert split_ec2("c5.4xlarge") == ("c5", "4xlarge")
    assert split_ec2("u-6tb1.metal") == ("u-6tb1", "metal")
    assert split_google("projects/1/machineTypes/a2-highgpu-1g") == ("a2", "highgpu-1g")
    assert split_azure("Standard_HB120rs_v3") == ("HBrs_v3", "120")
    assert split_azure("Standard_HB120-16rs_v3") == ("HBrs_v3", "120-16")
    assert split_azure("odd") == ("", "")


def test_nitro_is_not_asked() -> None:
    host = FakeHost(files=dmi(sys_vendor="Amazon EC2", product_name="c5.4xlarge"))
    assert [f"{fact.key}:{fact.value}" for fact in find_cloud(host).facts] == [
        "instType:c5",
        "instSize:4xlarge",
    ]
    assert host.asked == []


def test_ec2_is_asked_with_a_token() -> None:
    host = FakeHost(
        files=dmi(sys_vendor="Xen", bios_version="4.11.amazon"),
        services={
            f"{LINK_LOCAL}/latest/api/token": "TOKEN",
            f"{LINK_LOCAL}/latest/meta-data/instance-type": "r4.large",
        },
    )
    assert find_cloud(host).facts[0].value == "r4"
    assert [line.split()[0] for line in host.asked] == ["PUT", "GET"]


@pytest.mark.parametrize(
    "files",
    [{}, dmi(sys_vendor="Dell Inc.", product_name="PowerEdge R740"), dmi(sys_vendor="Xen")],
)
def test_a_machine_of_ones_own_asks_nobody(files: dict[str, str]) -> None:
    host = FakeHost(files=files)
    found = find_cloud(host)
    assert found.facts == ()
    assert found.warnings == ()
    assert host.asked == []


def test_the_switch_is_off() -> None:
    host = FakeHost(files=dmi(product_name="Google Compute Engine"))
    assert find_cloud(host, metadata=False).warnings == (
        "Google Cloud: the metadata service was not asked",
    )
    assert host.asked == []


def test_a_service_that_does_not_answer_or_makes_no_sense() -> None:
    host = FakeHost(files=dmi(chassis_asset_tag="OracleCloud.com"))
    assert "no answer" in find_cloud(host).warnings[0]
    host = FakeHost(
        files=dmi(chassis_asset_tag="OracleCloud.com"),
        services={f"{LINK_LOCAL}/opc/v2/instance/shape": "<html>"},
    )
    assert "'<html>' is no known kind" in find_cloud(host).warnings[0]


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        ({"chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"}, "/metadata/instance/"),
        ({"sys_vendor": "Alibaba Cloud"}, "http://100.100.100.200/"),
        ({"product_name": "Google Compute Engine"}, "/computeMetadata/v1/"),
    ],
)
def test_each_cloud_has_its_service(names: dict[str, str], asked: str) -> None:
    host = FakeHost(files=dmi(**names))
    assert find_cloud(host).facts == ()
    assert asked in host.asked[0]


def test_threads() -> None:
    path = "/sys/devices/system/cpu/smt/active"
    for text, values in (("1\n", ["on"]), ("0\n", ["off"]), ("?", []), (None, [])):
        host = FakeHost(files={} if text is None else {path: text})
        assert [fact.value for fact in find_threads(host).facts] == values
