from metahub_addon.node_features import find_node_features
from support.fake_host import FakeHost


def test_a_host_by_nfds_names() -> None:
    pci = "/sys/bus/pci/devices/0000:3b:00.0"
    found = find_node_features(
        FakeHost(
            files={
                "/proc/cpuinfo": "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t: 1\n"
                "flags\t: fma aes avx512_vnni amx_bf16\n\nflags\t: none",
                "/proc/sys/kernel/osrelease": "5.14.0-427.el9.x86_64\n",
                "/proc/modules": "vfio_pci 65536 0 - Live 0x0\n\nnvidia 1 0\n",
                "/sys/devices/system/cpu/smt/active": "1\n",
                f"{pci}/vendor": "0x10de\n",
                f"{pci}/class": "0x030200\n",
                "/etc/os-release": 'ID="rocky"\nVERSION_ID=9.4\n# comment\n',
            }
        )
    ).instances
    assert set(found["cpu.cpuid"][0]) == {"FMA3", "AESNI", "AVX512VNNI", "AMXBF16"}
    assert found["cpu.model"] == ({"vendor_id": "AMD", "family": "25", "id": "1"},)
    assert found["cpu.topology"] == ({"hardware_multithreading": "true"},)
    assert found["kernel.version"] == (
        {"full": "5.14.0-427.el9.x86_64", "major": "5", "minor": "14", "revision": "0"},
    )
    assert set(found["kernel.loadedmodule"][0]) == {"vfio_pci", "vfio-pci", "nvidia"}
    assert found["pci.device"] == ({"vendor": "10de", "class": "0302"},)
    assert found["system.osrelease"][0]["VERSION_ID.major"] == "9"
    assert found["system.osrelease"][0]["ID"] == "rocky"


def test_what_cannot_be_read_is_not_known() -> None:
    found = find_node_features(FakeHost()).instances
    assert set(found.values()) == {()}
    arm = find_node_features(FakeHost(files={"/proc/cpuinfo": "Features: sve\n"})).instances
    assert arm["cpu.cpuid"] == ({"SVE": ""},)
    assert arm["cpu.model"] == ()
    only = find_node_features(FakeHost(files={"/etc/os-release": "VERSION_ID=sid\n"})).instances
    assert only["system.osrelease"] == ({"VERSION_ID": "sid"},)
