"""The signals, heard by the node's real rules: in a network namespace that ends with the test."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from installer.layout import FIREWALL_PORT
from installer.texts import Ways, table_text

pytestmark = pytest.mark.real
SIGNALS = Path(__file__).parents[1] / "support" / "firewall_signals.py"
GROUP = "60001"
# Packets that got past the rules, for whoever would send them on.
WATCH = f"""
table inet watch {{
    chain left {{
        type filter hook output priority 100; policy accept;
        udp sport {FIREWALL_PORT} counter
    }}
}}
"""
SCRIPT = """
set -e
ip link set lo up
ip link add far type veth peer name near
ip link set near up
ip address add 192.0.2.1/24 dev far
ip address add 2001:db8::1/64 dev far nodad
ip link set far up
nft -f "$1"
setpriv --regid "$2" --clear-groups "$3" "$4" "$5"
nft -j list ruleset
"""


@dataclass(frozen=True)
class Outcome:
    """What the sender heard, what the rules noted, how many packets got past them."""

    heard: dict[str, bool]
    noted: dict[str, list[object]]
    left: int


def missing() -> str:
    if os.geteuid() != 0:
        return "root"
    for command in ("unshare", "ip", "nft", "setpriv"):
        if shutil.which(command) is None:
            return f"the command {command}"
    tried = "nft list ruleset && ip link add far type veth peer name near"
    probe = ["unshare", "--net", "sh", "-ec", tried]
    done = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=False)
    return done.stderr.strip()[:200] if done.returncode else ""


def signal(folder: Path, rules: str, group: str = GROUP) -> Outcome:
    """Load rules in a namespace and send each kind of signal once."""
    lacking = missing()
    if lacking:
        pytest.skip(f"missing: {lacking}")
    file = folder / "rules.nft"
    file.write_text(rules + WATCH)
    inner = ["sh", "-c", SCRIPT, "sh", str(file), group, sys.executable, str(SIGNALS)]
    done = subprocess.run(
        ["timeout", "30", "unshare", "--net", *inner, str(FIREWALL_PORT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard, _, ruleset = done.stdout.partition("\n")
    parts: list[dict[str, Any]] = json.loads(ruleset)["nftables"]
    sets = [part["set"] for part in parts if "set" in part]
    counters = [
        expression["counter"]["packets"]
        for part in parts
        if part.get("rule", {}).get("table") == "watch"
        for expression in part["rule"]["expr"]
        if "counter" in expression
    ]
    noted = {each["name"]: sorted(map(_value, each.get("elem", []))) for each in sets}
    return Outcome(json.loads(heard), noted, sum(counters))


def _value(element: Any) -> Any:
    """An element, with its own time if it has one that is not the set's."""
    if not isinstance(element, dict):
        return element
    value, seconds = element["elem"]["val"], element["elem"].get("timeout")
    return f"{value} for {seconds} s" if seconds else value


def test_the_rules_hear_each_signal_and_let_none_leave(tmp_path: Path) -> None:
    found = signal(tmp_path, table_text(Ways("transparent", ("reg.test:5000",), True), GROUP))
    assert found.heard == {
        "beat": True,
        "another": True,
        "IPv4": True,
        "IPv6": True,
        "IPv4 briefly": True,
        "IPv6 briefly": True,
        "no route": False,
    }
    assert found.noted["alive"] == [443, 5000]
    assert found.noted["direct4"] == ["192.0.2.10 for 60 s", "192.0.2.9"]
    assert found.noted["direct6"] == ["2001:db8::10 for 60 s", "2001:db8::9"]
    assert found.left == 0


def test_others_are_not_heard(tmp_path: Path) -> None:
    """Whoever sends from the same port without the group changes nothing."""
    rules = table_text(Ways("transparent", (), True), GROUP)
    found = signal(tmp_path, rules, group="60002")
    assert set(found.heard.values()) == {False}
    assert not any(found.noted[name] for name in ("alive", "direct4", "direct6"))
    assert found.left > 0


def test_without_rules_nothing_is_heard(tmp_path: Path) -> None:
    found = signal(tmp_path, "")
    assert set(found.heard.values()) == {False}
    assert found.noted == {}
    assert found.left > 0
