import pytest

from metahub_addon.cpuinfo import parse_cpuinfo

# Whole captures are in tests/hardware; here are the corners.


def x86(*flags: str, vendor: str = "GenuineIntel") -> str:
    return "\n\n".join(f"vendor_id\t: {vendor}\nflags\t\t: {each}" for each in flags)


def test_what_one_core_lacks_the_host_lacks() -> None:
    cpu = parse_cpuinfo(x86("mmx sse sse2 pni ssse3 avx", "mmx sse sse2 pni ssse3"), "x86_64")
    assert cpu.name == "core2"
    assert "avx" not in cpu.flags
    assert "sse3" in cpu.flags


@pytest.mark.parametrize(
    ("text", "machine", "name"),
    [
        ("", "x86_64", "x86_64"),
        ("", "aarch64", "aarch64"),
        ("", "ppc64le", "ppc64le"),
        ("", "riscv64", "riscv64"),
        ("", "loongarch64", "loongarch64"),
        ("flags: mmx sse sse2", "i686", "i686"),
        ("vendor_id: GenuineIntel\nflags: mmx sse", "i386", "pentium3"),
        ("cpu: POWER99", "ppc64le", "power10le"),
        ("uarch: sifive,u74-mc", "riscv64", "u74mc"),
        ("model name: Spacemit(R) X60", "riscv64", "x60"),
        ("uarch: zen3", "riscv64", "riscv64"),
        ("Features: fp\nCPU implementer: 0x99", "aarch64", "aarch64"),
    ],
)
def test_corners(text: str, machine: str, name: str) -> None:
    assert parse_cpuinfo(text, machine).name == name


def test_two_kinds_of_core_are_what_both_run() -> None:
    a72 = "Features: fp asimd aes pmull sha1 sha2 crc32\nCPU implementer: 0x41\nCPU part: 0xd08"
    other = a72.replace("0x41", "0x53").replace("0xd08", "0x002")
    assert parse_cpuinfo(f"{a72}\n\n{other}", "aarch64").name == "aarch64"
    assert parse_cpuinfo(f"{a72}\n\n{a72}", "aarch64").name == "cortex_a72"
