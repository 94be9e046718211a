"""Two hubs behind HAProxy: one is killed in the middle of fifty pulls."""

from typing import Any

import pytest

from hub.conftest import part
from hub.replicas import AT_ONCE
from hub.without_login import PRINTS

pytestmark = pytest.mark.real


def test_no_pull_fails_that_the_client_retries(results: dict[str, Any]) -> None:
    got = part(results, "replicas")
    assert got["pulls"] == 50
    assert got["lost"] == {}
    assert got["wrong"] == {}


def test_few_have_to_be_repeated(results: dict[str, Any]) -> None:
    """No more than were under way when the replica died."""
    assert len(part(results, "replicas")["repeated"]) <= AT_ONCE


def test_both_have_answered_until_then(results: dict[str, Any]) -> None:
    got = part(results, "replicas")
    assert min(got["answered"].values()) > 20
    assert got["one is up"]


@pytest.mark.parametrize("runtime", ["docker", "podman"])
@pytest.mark.parametrize("host", PRINTS)
def test_networks_and_certificates_tell_the_type_without_a_login(
    results: dict[str, Any], runtime: str, host: str
) -> None:
    assert part(results, "without login")[f"{runtime} {host}"] == PRINTS[host]


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_who_shows_nothing_gets_nothing(results: dict[str, Any], runtime: str) -> None:
    status, output = part(results, "without login")[f"{runtime} as nobody"]
    assert status != 0
    assert "unauthorized" in output or "no basic auth credentials" in output
