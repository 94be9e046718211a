"""The DaemonSet's containers on a node with a real containerd."""

import tomllib
from typing import Any

import pytest

from deploy.manifests import MIRROR_PORT

pytestmark = pytest.mark.real
VARIANTS = {"type1": "broadwell", "type2": "skylake", "type4": "broadwell-nvcap"}
OPTIMISED = {**VARIANTS, "private": "broadwell-nvcap", "again": "broadwell-nvcap"}
STRAIGHT = ("drained", "killed")


def test_the_node_has_a_ca_of_its_own(played: dict[str, Any]) -> None:
    assert played["prepared"] == [0, 0]
    made = {path for path in played["tree prepared"] if path not in played["tree before"]}
    assert made == {
        "etc/containerd/certs.d",
        "etc/containerd/certs.d/_default",
        "etc/metahub",
        "etc/metahub/mitmproxy-ca.pem",
        "etc/metahub/mitmproxy-ca-cert.pem",
        "etc/metahub/mitmproxy-dhparam.pem",
    }


def test_only_the_pods_user_reads_the_key(played: dict[str, Any]) -> None:
    tree = played["tree announced"]
    assert tree["etc/metahub/mitmproxy-ca.pem"] == "600 60743"
    assert {path for path, mode in tree.items() if mode.split()[1] != "0"} == {
        "etc/metahub/mitmproxy-ca.pem",
        "etc/containerd/certs.d/_default",
        "etc/containerd/certs.d/_default/hosts.toml",
        "etc/containerd/certs.d/_default/metahub-ca.pem",
    }


def test_containerd_is_told_once_mitmdump_answers(played: dict[str, Any]) -> None:
    assert (played["probe before"], played["announced"], played["probe"]) == (1, 0, 0)
    assert tomllib.loads(played["hosts.toml"])["host"] == {
        f"https://127.0.0.1:{MIRROR_PORT}": {
            "capabilities": ["pull", "resolve"],
            "ca": "metahub-ca.pem",
        }
    }


@pytest.mark.parametrize("pull", OPTIMISED)
def test_a_tag_of_any_registry_gives_this_hosts_child(played: dict[str, Any], pull: str) -> None:
    assert played[pull]["digest"] == played["digests"]["list"][OPTIMISED[pull]]


def layers(played: dict[str, Any], pull: str) -> list[str]:
    """The requests for layers; the mirror passes `?ns=` on, containerd itself sends none."""
    asked = [one.split() for one in played[pull]["asked"]]
    return [path for _, path, status, size in asked if status == "200" and int(size) > 1_000_000]


@pytest.mark.parametrize("pull", OPTIMISED)
def test_layers_never_come_through_the_mirror(played: dict[str, Any], pull: str) -> None:
    (path,) = layers(played, pull)
    assert "/blobs/" in path
    assert "?ns=" not in path


def test_nor_do_they_when_images_are_pulled_again(played: dict[str, Any]) -> None:
    assert len(layers(played, "pinned")) == 4
    assert not [path for path in layers(played, "pinned") if "?ns=" in path]


def test_a_pull_pinned_to_the_indexs_digest_gets_the_index(played: dict[str, Any]) -> None:
    assert played["pinned"]["digest"] == played["digests"]["index"]


def test_credentials_reach_the_registry_and_nobody_is_served_without(
    played: dict[str, Any],
) -> None:
    assert any(asked.startswith("HEAD") for asked in played["private"]["asked"])
    assert "401 Unauthorized" in played["private, without credentials"]


@pytest.mark.parametrize("pull", STRAIGHT)
def test_without_the_mirror_pulls_go_on_unoptimised(played: dict[str, Any], pull: str) -> None:
    """`drained`: containerd was told to forget it; `killed`: nobody told containerd."""
    assert played[pull]["digest"] == played["digests"]["index"]
    assert not [asked for asked in played[pull]["asked"] if "?ns=" in asked]


def test_what_is_stopped_is_withdrawn_first(played: dict[str, Any]) -> None:
    assert played["withdrawn"] == 0
    gone = played["tree announced"].keys() - played["tree withdrawn"].keys()
    assert gone == {"etc/containerd/certs.d/_default/hosts.toml"}
    assert played["announced again"] == 0
    assert played["probe of a killed"] == 1


def test_removal_leaves_no_trace(played: dict[str, Any]) -> None:
    assert played["removed"] == [0, 0]
    assert played["tree removed"] == played["tree before"]


def test_nothing_failed_on_the_way(played: dict[str, Any]) -> None:
    assert played["warnings"] == []
