"""scripts/install and scripts/uninstall on a node, with docker, containerd and podman."""

from typing import Any

import pytest

from node.conftest import Played, Scenarios
from node.far import HUB, LOCKED, OTHER_PORT, REGISTRY, REGISTRY6, TAGS
from node.plays import PRIVATE, REGISTRIES, RUNTIMES
from node.tree import outside

pytestmark = pytest.mark.real
NAMES = ("docker", "containerd", "podman")
MODES = ("transparent", "proxy", "mirror")
# Each is no trace of an install but of what runs on a node, whoever installs what.
NOISE = {
    "var/log": "the daemons' logs",
    "var/lib/systemd": "systemd's own notes of timers and sessions",
    "var/tmp": "private folders of services that run",
    "var/cache/ldconfig": "rebuilt by whichever program asks",
}


def by_digest(pulls: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """How each pull ended, and the variant that it recorded."""
    return {
        name: (pulled["status"], pulled["variant"])
        for name, pulled in pulls.items()
        if not name.endswith("prints")
    }


def expected(variant: str, registries: tuple[str, ...] = REGISTRIES) -> dict[str, tuple[int, str]]:
    return {f"{n} {r} {t}": (0, variant) for n in NAMES for r in registries for t in TAGS}


def printed(pulls: dict[str, Any]) -> dict[str, str]:
    return {name: pulls.get(f"{name} prints", "") for name in NAMES}


def test_without_us_every_runtime_takes_the_first_image(first: Scenarios) -> None:
    assert by_digest(first["before"]["pulls"]) == expected("index", (REGISTRY,))
    assert printed(first["before"]["pulls"]) == dict.fromkeys(NAMES, "generic")


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(first: Scenarios) -> None:
    status, output = first["before"]["dry run"]
    assert status == 0, output
    assert "metahub.service" in output
    assert first["before"]["changed"] == {}
    assert first["before"]["ruleset is kept"]


@pytest.mark.parametrize("mode", MODES)
def test_it_installs(first: Scenarios, mode: str) -> None:
    status, output = first[mode]["install"]
    assert status == 0, f"{output}\n{first[mode].get('unit')}"


@pytest.mark.parametrize("mode", MODES)
def test_a_second_install_changes_nothing(first: Scenarios, mode: str) -> None:
    status, output = first[mode]["again"]
    assert status == 0, output
    assert first[mode]["changed by again"] == {}
    assert first[mode]["the same process"]
    assert first[mode]["the same tables"]


@pytest.mark.parametrize("mode", MODES)
def test_every_pull_is_optimised(first: Scenarios, mode: str) -> None:
    """From each registry: by IPv4 and IPv6, on another port, with layers elsewhere."""
    pulls = first[f"{mode} pulls"]
    wanted = expected("broadwell")
    if mode == "mirror":
        # docker has mirrors for Docker Hub alone; podman gives a mirror no credentials.
        direct = [("docker", registry) for registry in PRIVATE] + [("podman", LOCKED)]
        wanted |= {
            f"{name} {registry} {tag}": (0, "index") for name, registry in direct for tag in TAGS
        }
    assert by_digest(pulls) == wanted, pulls
    assert printed(pulls) == dict.fromkeys(NAMES, "broadwell")


@pytest.mark.parametrize(
    ("registry", "host"),
    [
        (REGISTRY, "reg.test:17443"),
        (REGISTRY6, "reg6.test:17443"),
        (OTHER_PORT, "reg.test:17444"),
        (HUB, "registry-1.docker.io:17443"),
    ],
)
def test_layers_come_past_the_proxy(first: Scenarios, registry: str, host: str) -> None:
    assert first["layers"][registry] == {agent: [host] for agent in RUNTIMES}


def test_layers_that_need_credentials_come_by_the_relay(first: Scenarios) -> None:
    """Not on the way past: clients do not take their credentials to another port."""
    assert first["layers"][LOCKED] == {agent: [LOCKED] for agent in RUNTIMES}
    assert any("layers relay: " in line for line in first["counts"]), first["counts"]


def test_on_the_way_past_tls_ends_at_the_registry(first: Scenarios) -> None:
    own = {name: is_own for name, is_own in first["layers"].items() if name.startswith("TLS of ")}
    assert own == {
        "TLS of reg.test:443 is its own": False,
        "TLS of reg.test:5000 is its own": False,
        "TLS of layers.test:443 is its own": True,
        "TLS of reg.test:17443 is its own": True,
        "TLS of reg.test:17444 is its own": True,
        "TLS of reg6.test:17443 is its own": True,
    }


def test_a_host_that_only_serves_layers_is_let_past_by_the_firewall(first: Scenarios) -> None:
    assert first["layers"]["the layers' host is let past"]
    assert first["layers"]["the layers' host has served"] == list(RUNTIMES)


def test_a_changed_profile_is_taken_up_by_the_running_proxy(first: Scenarios) -> None:
    assert first["profile"] == {
        "generic": "generic",
        "broadwell": "broadwell",
        "the same process": True,
    }


def test_after_a_reboot_pulls_are_optimised(second: Scenarios) -> None:
    assert second["booted"] is None
    pulls = second["booted pulls"]
    assert by_digest(pulls) == expected("broadwell", (REGISTRY,)), pulls


def test_uninstall_leaves_the_tree_as_it_was(second: Scenarios) -> None:
    status, output = second["uninstall"]["uninstall"]
    assert status == 0, output
    found = second["uninstall"]["differences"]
    assert {path: found[path] for path in outside(found, NOISE)} == {}


def test_uninstall_leaves_the_ruleset_as_it_was(second: Scenarios) -> None:
    before, after = second["uninstall"]["rulesets"]
    assert "table inet filter" in before  # the node has rules of its own
    assert after == before


def test_after_an_uninstall_pulls_go_on_as_before(second: Scenarios) -> None:
    pulls = second["uninstall"]["pulls"]
    assert [(p["status"], p["variant"]) for p in pulls] == [(0, "index")] * 3, pulls


def test_a_second_uninstall_says_that_there_is_nothing(second: Scenarios) -> None:
    status, output = second["uninstall"]["again"]
    assert status == 1
    assert "not installed" in output


def test_the_machine_has_no_trace_of_the_node(played: Played) -> None:
    assert played.left == set()
