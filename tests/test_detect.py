import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.detect import detect, detect_platform
from metahub_addon.features import Feature
from metahub_addon.oci_platform import Platform
from metahub_addon.probe import NvidiaDriver, ProbeError
from metahub_addon.profile_parser import parse_profile
from metahub_addon.profile_writer import profile_text
from support.fake_host import FakeHost

FILES = {
    "/proc/cpuinfo": "vendor_id: AuthenticAMD\nflags: fpu sse2 cx16\n",
    "/proc/sys/kernel/osrelease": "5.14.0-427.el9.x86_64\n",
    "/sys/devices/system/cpu/smt/active": "1\n",
    "/sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n",
    "/sys/bus/pci/devices/0000:01:00.0/class": "0x030000\n",
    "/sys/class/kfd/kfd/topology/nodes/1/properties": "gfx_target_version 90010\n",
    "/sys/class/infiniband/mlx5_0/ports/1/state": "4: ACTIVE\n",
    "/sys/class/infiniband/mlx5_0/ports/1/link_layer": "InfiniBand\n",
    "/sys/class/dmi/id/sys_vendor": "Amazon EC2\n",
    "/sys/class/dmi/id/product_name": "p4d.24xlarge\n",
    "/opt/rocm/.info/version": "6.0.0\n",
}


def test_a_whole_host_with_the_source_of_every_fact() -> None:
    found = detect(
        FakeHost(
            files=FILES,
            commands={"getconf GNU_LIBC_VERSION": "glibc 2.34\n"},
            driver=NvidiaDriver("535.1", "12.2", ("8.0", "8.0")),
        )
    )
    assert found.warnings == ()
    assert [(f"{fact.key}:{fact.value}", fact.source) for fact in found.facts] == [
        ("cpu:x86_64", "/proc/cpuinfo"),
        ("nvcap:8.0", "NVIDIA's management library"),
        ("nvptx:8.0", "NVIDIA's management library"),
        ("driver:535.1", "NVIDIA's management library"),
        ("cuda:12.2", "NVIDIA's management library"),
        ("gfx:gfx90a", "/sys/class/kfd/kfd/topology/nodes/1/properties"),
        ("rocm:6.0.0", "/opt/rocm/.info/version"),
        ("fabric:infiniband", "/sys/class/infiniband/mlx5_0"),
        ("glibc:2.34", "getconf GNU_LIBC_VERSION"),
        ("kernel:5.14.0", "/proc/sys/kernel/osrelease"),
        ("ht:on", "/sys/devices/system/cpu/smt/active"),
        ("instType:p4d", "/sys/class/dmi/id/product_name"),
        ("instSize:24xlarge", "/sys/class/dmi/id/product_name"),
        ("instHT:on", "/sys/devices/system/cpu/smt/active"),
    ]
    assert found.machine.name == "detected-x86_64-8.0-gfx90a"
    assert found.machine.platform == Platform("linux", "amd64")
    assert found.machine.cpu_flags == {"fpu", "sse2", "cx16"}


def test_an_empty_host_is_a_machine_type_too() -> None:
    found = detect(FakeHost(machine="?"))
    assert found.machine.name == "detected"
    assert found.machine.platform == Platform("linux", "unknown")
    assert found.machine.features == ()
    assert found.warnings == (
        "/proc/cpuinfo does not exist",
        "/proc/sys/kernel/osrelease does not exist",
    )
    assert detect_platform(FakeHost(machine="aarch64")) == Platform("linux", "arm64")


@pytest.mark.parametrize(
    ("flags", "platform"),
    [
        ("fp asimd", "linux/arm64"),
        ("fp asimd atomics asimdrdm crc32 dcpop", "linux/arm64/v8.2"),
        ("", "linux/arm64"),
    ],
)
def test_an_arm_host_says_its_level(flags: str, platform: str) -> None:
    files = {"/proc/cpuinfo": f"Features: {flags}\nCPU implementer: 0x41"}
    assert str(detect(FakeHost(machine="aarch64", files=files)).machine.platform) == platform


def test_another_c_library_or_kernel_is_no_fact() -> None:
    files = {"/proc/cpuinfo": "", "/proc/sys/kernel/osrelease": "odd"}
    found = detect(FakeHost(files=files, commands={"getconf GNU_LIBC_VERSION": "musl"}))
    assert [fact.key for fact in found.facts] == ["cpu"]


def test_what_is_no_feature_is_a_warning() -> None:
    found = detect(FakeHost(machine="odd one", files={**FILES, "/proc/cpuinfo": ""}))
    assert "/proc/cpuinfo: 'cpu:odd one' holds a space" in found.warnings[-1]


contents = st.one_of(st.text(max_size=200), st.just(ProbeError("broken")))


@given(
    st.sampled_from(["x86_64", "aarch64", "ppc64le", "riscv64", "i686", "odd"]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(FILES, contents)),
    contents,
)
def test_no_content_of_any_part_makes_detection_fail(
    machine: str, files: dict[str, str | Exception], said: str | Exception
) -> None:
    commands = dict.fromkeys(
        (
            "nvidia-smi",
            "nvidia-smi --query-gpu=compute_cap,driver_version --format=csv,noheader",
            "getconf GNU_LIBC_VERSION",
        ),
        said,
    )
    found = detect(FakeHost(machine=machine, files=files, commands=commands))
    text = profile_text(found)
    again = parse_profile(text, "p", lambda: found.machine.platform).machine
    assert again.features == found.machine.features
    assert all(Feature.parse(str(feature)) == feature for feature in again.features)
