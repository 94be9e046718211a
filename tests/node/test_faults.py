"""Never in the way: the proxy killed, stopped, restarted, upgraded; its rules flushed."""

from typing import Any

import pytest

from node.conftest import Scenarios
from node.kills import MOMENTS

pytestmark = pytest.mark.real
KILLS = [f"killed {name}" for name in MOMENTS]


def bad(pulls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pulls that did not end well."""
    return [pulled for pulled in pulls if pulled["status"] != 0]


def tally(pulls: list[dict[str, Any]]) -> dict[str, str]:
    """How many of a runtime's pulls ended well at once, and were optimised: for people."""
    found = {}
    for runtime in ("docker", "containerd", "podman"):
        firsts = [pulled["first"] for pulled in pulls if pulled["runtime"] == runtime]
        well, optimised = len(firsts) - len(bad(firsts)), variants(firsts).count("broadwell")
        found[runtime] = f"{well} of {len(firsts)} at once, {optimised} optimised"
    return found


def variants(pulls: list[dict[str, Any]]) -> list[str]:
    return [pulled["variant"] for pulled in pulls]


@pytest.mark.parametrize("name", KILLS)
def test_a_killed_proxy_costs_a_pull_at_most_a_second_try(first: Scenarios, name: str) -> None:
    """A runtime does not retry a manifest's request: one that is cut fails, and is repeated."""
    pulls = first[name]["pulls"]
    print(name, first[name]["answered"], tally(pulls))
    assert len(pulls) == 20
    assert first[name]["ended before"] < 20
    assert bad([pulled["again"] for pulled in pulls if pulled["again"]]) == []


@pytest.mark.parametrize("name", KILLS)
def test_no_layer_is_cut_by_a_killed_proxy(first: Scenarios, name: str) -> None:
    failed = [pulled["first"]["output"] for pulled in first[name]["pulls"] if pulled["again"]]
    assert [output for output in failed if ":17443" in output] == []


def test_a_proxy_killed_behind_the_manifests_costs_nothing(first: Scenarios) -> None:
    """But for ctr, which does not even retry a layer that it is just asking for."""
    pulls = first["killed behind the manifests"]["pulls"]
    assert bad([p["first"] for p in pulls if p["runtime"] != "containerd"]) == []


@pytest.mark.parametrize("name", KILLS)
def test_after_a_kill_pulls_are_optimised_again(first: Scenarios, name: str) -> None:
    assert variants(first[name]["then"]) == ["broadwell"] * 3, first[name]["then"]


def test_in_proxy_mode_no_pull_is_lost_after_the_restart(first: Scenarios) -> None:
    pulls = first["proxy killed"]["pulls"]
    print("proxy killed", first["proxy killed"]["answered"], tally(pulls))
    last = [pulled["again"] or pulled["first"] for pulled in pulls]
    assert len(pulls) == 20
    assert bad(last) == []
    assert set(variants(last)) == {"broadwell"}


def test_a_stopped_proxy_is_gone_round_by_the_kernel(first: Scenarios) -> None:
    found = first["stopped process"]
    assert found["still stopped then"]
    assert found["direct"]["status"] == 0, found
    assert found["direct"]["variant"] == "index"


def test_a_stopped_proxy_is_replaced_by_the_watchdog(first: Scenarios) -> None:
    found = first["stopped process"]
    assert variants(found["then"]) == ["broadwell"] * 3, found
    assert found["at once again"]["variant"] == "broadwell"


def test_no_layer_is_lost_where_a_port_was_used_before(first: Scenarios) -> None:
    assert first["crowded ports"] == {"tried": 20, "connected": 20}


def test_no_pull_fails_in_a_restart(first: Scenarios) -> None:
    assert len(first["restart"]) >= 9
    assert bad(first["restart"]) == []


def test_no_pull_fails_in_an_upgrade(first: Scenarios) -> None:
    status, output = first["upgrade"]["install"]
    assert status == 0, output
    assert first["upgrade"]["another process"]
    assert bad(first["upgrade"]["pulls"]) == []
    assert variants(first["upgrade"]["then"]) == ["broadwell"] * 3


def test_a_stopped_service_redirects_nothing_and_pulls_go_on(first: Scenarios) -> None:
    found = first["stop"]
    assert bad(found["while stopping"]) == []
    assert found["redirected"] == []
    assert variants(found["stopped"]) == ["index"] * 3, found["stopped"]
    assert variants(found["started"]) == ["broadwell"] * 3, found["started"]


def test_rules_that_another_service_flushed_come_back(first: Scenarios) -> None:
    before, after = first["flush"]["tables"]
    assert after == before
    assert variants(first["flush"]["pulls"]) == ["broadwell"] * 3
