"""Real runtimes log in at a hub as one machine type after another."""

from typing import Any

import pytest

from hub.conftest import part
from hub.session import HUBS, TAGS, TYPES

pytestmark = pytest.mark.real
RUNTIMES = ("docker", "podman", "containerd")


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("machine", TYPES)
def test_a_machine_runs_what_was_built_for_its_login(
    results: dict[str, Any], hub: str, runtime: str, machine: str
) -> None:
    got = part(results, f"{hub} {runtime}")
    assert [got[f"{machine} {tag}"]["prints"] for tag in TAGS] == [TYPES[machine]] * len(TAGS)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("machine", TYPES)
@pytest.mark.parametrize("tag", TAGS)
def test_what_is_recorded_is_the_child_that_exists_upstream(
    results: dict[str, Any], hub: str, runtime: str, machine: str, tag: str
) -> None:
    got = part(results, f"{hub} {runtime}")[f"{machine} {tag}"]
    children = part(results, "publish")["children"][f"reg.test/qnib/bench:{tag}"]
    assert (got["digest"], got["exists"]) == (children[TYPES[machine]], 200)


@pytest.mark.parametrize("hub", HUBS)
def test_docker_says_that_another_login_has_a_newer_image(
    results: dict[str, Any], hub: str
) -> None:
    got = part(results, f"{hub} docker")
    assert [got[f"{machine} latest"]["newer"] for machine in TYPES] == [True] * 3


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_logins_succeed(results: dict[str, Any], hub: str, runtime: str) -> None:
    for session in part(results, f"{hub} {runtime}").values():
        assert "Login Succeeded" in session["login"]


def test_a_push_is_refused_and_docker_says_why(results: dict[str, Any]) -> None:
    push = part(results, "refused push")
    assert push["status"] != 0
    assert "denied" in push["output"]
    assert "push" in push["output"].splitlines()[-1]


def test_the_clear_password_in_metahubs_file_has_become_its_hash(
    results: dict[str, Any],
) -> None:
    files = part(results, "MetaHub's file")
    before, after = (files[when].splitlines() for when in ("before", "after"))
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert len(changed) == 1
    assert changed[0][1].startswith(('password: "$2b$', "password: $2b$", "password: '$2b$"))
    assert changed[0][1].endswith("# ours")


@pytest.mark.parametrize("runtime", ["docker", "podman"])
@pytest.mark.parametrize("machine", ["type1", "type2"])
def test_metahub_login_logs_in_as_what_the_machine_is(
    results: dict[str, Any], runtime: str, machine: str
) -> None:
    got = part(results, "metahub login")[f"{runtime} {machine}"]
    assert got["login"][0] == 0, got["login"][1]
    assert got["pull"][0] == 0, got["pull"][1]
    assert got["prints"] == TYPES[machine]
