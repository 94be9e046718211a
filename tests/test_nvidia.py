import pytest

from metahub_addon.nvidia import find_nvidia, parse_nvidia_smi
from metahub_addon.probe import NvidiaDriver, ProbeError
from support.fake_host import FakeHost

QUERY = "nvidia-smi --query-gpu=compute_cap,driver_version --format=csv,noheader"
BANNER = "| NVIDIA-SMI 535.129.03   Driver Version: 535.129.03   CUDA Version: 12.2     |"
SMI = {QUERY: "8.0, 535.129.03\n8.0, 535.129.03\n", "nvidia-smi": BANNER}
PCI = {
    "/sys/bus/pci/devices/0000:3b:00.0/vendor": "0x10de\n",
    "/sys/bus/pci/devices/0000:3b:00.0/class": "0x030200\n",
}


def facts(host: FakeHost) -> list[str]:
    return [f"{fact.key}:{fact.value}" for fact in find_nvidia(host).facts]


def test_nvidia_smi() -> None:
    assert parse_nvidia_smi(SMI[QUERY], BANNER) == NvidiaDriver(
        "535.129.03", "12.2", ("8.0", "8.0")
    )
    assert parse_nvidia_smi("No devices were found\n", "") == NvidiaDriver("", "", ())
    host = FakeHost(commands=SMI)
    assert facts(host) == ["nvcap:8.0", "nvptx:8.0", "driver:535.129.03", "cuda:12.2"]


def test_the_library_goes_before_the_command() -> None:
    host = FakeHost(commands=SMI, driver=NvidiaDriver("550.1", "12.4", ("9.0",)))
    assert facts(host) == ["nvcap:9.0", "nvptx:9.0", "driver:550.1", "cuda:12.4"]


@pytest.mark.parametrize(
    ("host", "says"),
    [
        (FakeHost(), []),
        (
            FakeHost(files=PCI),
            ["an NVIDIA GPU is there, but neither its library nor nvidia-smi"],
        ),
        (
            FakeHost(driver=ProbeError("Driver/library version mismatch")),
            ["NVIDIA's management library: Driver/library version mismatch"],
        ),
        (
            FakeHost(commands={**SMI, QUERY: ProbeError("nvidia-smi ended with 9: failed")}),
            ["nvidia-smi: nvidia-smi ended with 9: failed"],
        ),
        (
            FakeHost(commands={**SMI, QUERY: "[N/A], 535.1\n"}),
            ["nvidia-smi: no compute capability of 1 GPU(s)"],
        ),
    ],
)
def test_what_is_missing_or_broken_is_a_warning(host: FakeHost, says: list[str]) -> None:
    found = find_nvidia(host)
    assert found.facts == ()
    assert list(found.warnings) == says


def test_a_broken_library_beside_a_command_that_works() -> None:
    found = find_nvidia(FakeHost(commands=SMI, driver=ProbeError("mismatch")))
    assert len(found.facts) == 4
    assert len(found.warnings) == 1
