"""The kind of cloud instance that a host is, named as MetaHub's autologin names it.

The firmware says which cloud it is; on EC2's Nitro it names the instance's kind, too.
Elsewhere the cloud's metadata service does, and only a host whose firmware names a cloud
asks one. Sources: each cloud's documentation of its instance metadata.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from metahub_addon.probe import Fact, Found, Probe, ProbeError, read_or_empty

_DMI = "/sys/class/dmi/id"
_SMT = "/sys/devices/system/cpu/smt/active"
_LINK_LOCAL = "http://169.254.169.254"
_SECONDS = 1.0
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class _Cloud:
    """How to ask a cloud for the kind of an instance, and how to split the answer."""

    name: str
    url: str
    split: Callable[[str], tuple[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict)
    token_url: str = ""


def split_ec2(kind: str) -> tuple[str, str]:
    """`c5.4xlarge` → `c5` and `4xlarge`; Alibaba's `ecs.g7.2xlarge` → `ecs.g7`, `2xlarge`."""
    family, _, size = kind.rpartition(".")
    return family, size


def split_google(kind: str) -> tuple[str, str]:
    """`projects/1/machineTypes/n2-standard-8` → `n2` and `standard-8`."""
    family, _, size = kind.rpartition("/")[2].partition("-")
    return family, size


def split_azure(kind: str) -> tuple[str, str]:
    """`Standard_HB120rs_v3` → `HBrs_v3` and `120` (the number of processors is the size)."""
    found = re.fullmatch(r"[A-Za-z]+_([A-Za-z]+)([0-9]+(?:-[0-9]+)?)(\w*)", kind)
    return (f"{found[1]}{found[3]}", found[2]) if found else ("", "")


def split_oracle(kind: str) -> tuple[str, str]:
    """`BM.HPC2.36` → `BM.HPC2` and `36`."""
    return split_ec2(kind)


_EC2 = _Cloud(
    "EC2",
    f"{_LINK_LOCAL}/latest/meta-data/instance-type",
    split_ec2,
    token_url=f"{_LINK_LOCAL}/latest/api/token",
)
_GOOGLE = _Cloud(
    "Google Cloud",
    f"{_LINK_LOCAL}/computeMetadata/v1/instance/machine-type",
    split_google,
    {"Metadata-Flavor": "Google"},
)
_AZURE = _Cloud(
    "Azure",
    f"{_LINK_LOCAL}/metadata/instance/compute/vmSize?api-version=2021-02-01&format=text",
    split_azure,
    {"Metadata": "true"},
)
_ORACLE = _Cloud(
    "Oracle Cloud",
    f"{_LINK_LOCAL}/opc/v2/instance/shape",
    split_oracle,
    {"Authorization": "Bearer Oracle"},
)
_ALIBABA = _Cloud(
    "Alibaba Cloud", "http://100.100.100.200/latest/meta-data/instance/instance-type", split_ec2
)
# The asset tag that every Azure machine has (Microsoft, 'Azure Instance Metadata Service').
_AZURE_TAG = "7783-7084-3265-9085-8269-3286-77"


def find_cloud(probe: Probe, metadata: bool = True) -> Found:
    """The facts `instType`, `instSize` and `instHT`; `metadata` allows to ask the service."""
    cloud = _cloud(probe)
    if cloud is None:
        return Found()
    product = read_or_empty(probe, f"{_DMI}/product_name")
    if cloud is _EC2 and re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", product):
        kind, source = product, f"{_DMI}/product_name"
    elif not metadata:
        return Found((), (f"{cloud.name}: the metadata service was not asked",))
    else:
        try:
            kind, source = _ask(probe, cloud), f"{cloud.name}'s metadata service"
        except ProbeError as error:
            return Found((), (f"{cloud.name}'s metadata service: {error}",))
    family, size = cloud.split(kind)
    if not (_VALUE.fullmatch(family) and _VALUE.fullmatch(size)):
        return Found((), (f"{source}: {kind[:64]!r} is no known kind of instance",))
    threads = find_threads(probe).facts
    on = tuple(Fact("instHT", fact.value, fact.source) for fact in threads)
    return Found((Fact("instType", family, source), Fact("instSize", size, source), *on))


def find_threads(probe: Probe) -> Found:
    """The fact `ht`, on or off: whether two threads share a core."""
    active = read_or_empty(probe, _SMT)
    if active not in ("0", "1"):
        return Found()
    return Found((Fact("ht", "on" if active == "1" else "off", _SMT),))


def _cloud(probe: Probe) -> _Cloud | None:
    names = ("sys_vendor", "product_name", "bios_vendor", "bios_version", "chassis_asset_tag")
    vendor, product, bios, version, tag = (read_or_empty(probe, f"{_DMI}/{name}") for name in names)
    if "Amazon EC2" in (vendor, bios) or (vendor == "Xen" and "amazon" in version):
        return _EC2
    if product == "Google Compute Engine":
        return _GOOGLE
    if tag == _AZURE_TAG:
        return _AZURE
    if tag == "OracleCloud.com":
        return _ORACLE
    return _ALIBABA if vendor == "Alibaba Cloud" else None


def _ask(probe: Probe, cloud: _Cloud) -> str:
    headers = dict(cloud.headers)
    if cloud.token_url:
        wanted = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = probe.fetch("PUT", cloud.token_url, wanted, _SECONDS)
        headers["X-aws-ec2-metadata-token"] = token.strip()
    return probe.fetch("GET", cloud.url, headers, _SECONDS).strip()
