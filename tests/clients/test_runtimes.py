"""Real dockerd, containerd, podman and skopeo behind one transparent mitmdump."""

from typing import Any

import pytest

from clients.node import TAGS, TYPES

pytestmark = pytest.mark.real
VARIANTS = {"type1": "broadwell", "type2": "skylake", "type4": "broadwell-nvcap"}


@pytest.fixture(params=["docker", "containerd", "podman"])
def runtime(request: pytest.FixtureRequest, results: dict[str, Any]) -> str:
    name: str = request.param
    assert f"{name} failed" not in results, results[f"{name} failed"]
    return name


@pytest.mark.parametrize("machine", TYPES)
@pytest.mark.parametrize("tag", TAGS)
def test_the_host_runs_its_variant(
    results: dict[str, Any], runtime: str, machine: str, tag: str
) -> None:
    got = results[runtime][f"{machine} {tag}"]
    assert got["prints"].strip() == VARIANTS[machine]


@pytest.mark.parametrize("machine", TYPES)
@pytest.mark.parametrize("tag", TAGS)
def test_what_is_recorded_is_a_child_that_exists_upstream(
    results: dict[str, Any], runtime: str, machine: str, tag: str
) -> None:
    """Where both kinds of index hold one image, a runtime may record either manifest."""
    digests = results["digests"]
    children = {digests[kind][VARIANTS[machine]] for kind in ("list", "oci")}
    recorded = set(results[runtime][f"{machine} {tag}"]["digests"])
    assert recorded
    assert recorded <= children
    assert {results["exist upstream"][digest] for digest in recorded} == {200}


def test_containerd_records_the_child_of_the_very_index(results: dict[str, Any]) -> None:
    for tag, kind in (("list", "list"), ("oci", "oci"), ("nested", "oci"), ("multi", "oci")):
        for machine, variant in VARIANTS.items():
            recorded = results["containerd"][f"{machine} {tag}"]["digests"]
            assert recorded == [results["digests"][kind][variant]]


def test_after_a_changed_profile_docker_downloads_a_newer_image(results: dict[str, Any]) -> None:
    assert [results["docker"][f"{machine} list"]["newer"] for machine in TYPES] == [
        False,  # the pulls that were counted have brought type1's image
        True,
        True,
    ]


def test_a_pull_pinned_to_the_indexs_digest_still_works(
    results: dict[str, Any], runtime: str
) -> None:
    """The runtime chooses for itself, as without us: containerd takes all, others the first."""
    index = results["digests"]["index"]
    if runtime == "containerd":
        assert f"unpacking linux/amd64 {index}" in results["containerd pinned"]
    else:
        assert results[f"{runtime} pinned"].strip() == "generic"


def test_a_docker_pull_costs_what_it_did(results: dict[str, Any]) -> None:
    assert results["docker requests"] == {
        "first": {"HEAD": 1, "GET": 2},
        "second": {"HEAD": 1, "GET": 0},
    }


def test_docker_prints_why_nothing_fits(results: dict[str, Any]) -> None:
    message = results["docker nothing fits"]
    assert "nothing fits machine type strict" in message
    assert "cpu:zen3" in message


def test_docker_pushes(results: dict[str, Any]) -> None:
    assert "1: digest: sha256:" in results["docker push"]


def test_skopeo_copies_the_whole_index_and_back(results: dict[str, Any]) -> None:
    assert "skopeo failed" not in results, results["skopeo failed"]
    assert results["skopeo"] == {
        "copied whole": True,
        "children": 4,
        "inspected whole": True,
        "pushed whole": True,
    }


def test_nothing_was_left_unanswered(results: dict[str, Any]) -> None:
    assert results["warnings"] == []


@pytest.mark.parametrize("client", ["docker/", "containerd/", "containers/", "skopeo/"])
def test_clients_are_told_by_their_user_agent(results: dict[str, Any], client: str) -> None:
    assert any(agent.startswith(client) for agent in results["user agents"])
