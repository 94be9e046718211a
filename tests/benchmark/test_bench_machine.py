import os
from pathlib import Path

import pytest

from benchmark.machine import cpu_model, describe, version_in
from benchmark.network import Redirected, firewall
from benchmark.processes import cpu_seconds, memory, parse_memory, ticks
from benchmark.proxies import layers_by
from benchmark.settings import Settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Docker version 20.10.24+dfsg1, build 5d6db84", "20.10.24+dfsg1"),
        ("nginx version: nginx/1.22.1", "1.22.1"),
        ("docker-registry github.com/docker/distribution 2.8.2+ds1", "2.8.2+ds1"),
        ("curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1\nProtocols: …", "7.88.1"),
        ("no version here", "no version here"),
    ],
)
def test_version_in(text: str, expected: str) -> None:
    assert version_in(text) == expected


def test_cpu_model() -> None:
    assert cpu_model("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nmodel name\t: B") == (
        "A CPU @ 2 GHz"
    )
    assert cpu_model("processor\t: 0\nCPU part\t: 0xd40") == ""


def test_describe_names_what_any_machine_has() -> None:
    found = describe()
    assert {"CPU", "cores", "kernel", "python", "mitmproxy", "metahub-addon"} <= found.keys()


def test_ticks_of_a_process_whose_name_is_odd() -> None:
    fields = " ".join(map(str, range(3, 53)))
    assert ticks(f"1 (a) b) {fields}") == 14 + 15 + 16 + 17


def test_memory_of_a_status() -> None:
    found = parse_memory("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n")
    assert (found.now, found.peak) == (1.0, 2.0)


def test_own_process_is_seen() -> None:
    assert cpu_seconds([os.getpid()]) > 0
    assert 0 < memory(os.getpid()).now <= memory(os.getpid()).peak


def test_firewall_redirects_by_address_and_sends_layers_straight_on() -> None:
    rules = firewall([Redirected("a.test", "192.0.2.10", 18100)])
    assert "ip daddr 192.0.2.10 tcp dport { 443, 5000 } redirect to :18100" in rules
    assert "tcp dport 17443 dnat to :443" in rules
    assert rules.index("skgid 60001 return") < rules.index("redirect")


def test_ways_of_layers_are_read_from_the_last_line_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "mitmdump.log"
    log.write_text("metahub: layers back: 1\n[1] metahub: layers past: 9, pinned: 6\n")
    assert layers_by(log) == {"past": 9}


def test_settings_survive_the_way_into_the_namespaces() -> None:
    settings = Settings(addon="a.py", layer_mib=64)
    assert Settings.from_json(settings.to_json()) == settings


def test_a_quick_run_is_smaller_in_all() -> None:
    full, quick = Settings(addon=""), Settings(addon="").quick()
    assert quick.layer_mib < full.layer_mib
    assert quick.memory_requests * 10 < full.memory_requests
    assert Settings(addon="", layer_mib=8).quick().layer_mib == 8
