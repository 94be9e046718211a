"""A hub in front of a private registry, and who gets nothing from it."""

from typing import Any

import pytest

from clients.node import NAME
from hub.conftest import part
from hub.questions import CRAFTED, QUESTIONS
from hub.upstreams import HIDDEN

pytestmark = pytest.mark.real
RUNTIMES = ("docker", "podman", "containerd")
PRINTS = {
    NAME: "broadwell",
    HIDDEN: "hidden broadwell",
    f"other/{NAME}": "other broadwell",
}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", PRINTS)
def test_private_images_come_with_the_hubs_credentials(
    results: dict[str, Any], runtime: str, name: str
) -> None:
    got = part(results, "private pulls")[f"{runtime} {name}"]
    assert got["status"] == 0, got["pull"]
    assert got["prints"] == PRINTS[name]


@pytest.mark.parametrize("name", QUESTIONS)
def test_refusals_are_oci_errors(results: dict[str, Any], name: str) -> None:
    question, got = QUESTIONS[name], part(results, "questions")["asked"][name]
    assert got["status"] == question.status, got
    assert [error["code"] for error in got["errors"]] == [
        code for code in question.codes if code in got["body"]
    ]
    assert got["errors"][0]["message"]
    assert got["headers"]["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "name", [name for name, question in QUESTIONS.items() if question.status == 401]
)
def test_who_is_nobody_is_asked_for_a_login(results: dict[str, Any], name: str) -> None:
    got = part(results, "questions")["asked"][name]
    assert got["headers"]["www-authenticate"].startswith("Basic realm=")


@pytest.mark.parametrize("path", CRAFTED)
def test_no_spelling_of_a_path_gets_past_the_list(results: dict[str, Any], path: str) -> None:
    assert part(results, "questions")["crafted"][path] in (400, 401, 403, 404)


def test_a_mount_is_no_way_to_read(results: dict[str, Any]) -> None:
    """It has become an upload, and the blob is not in the repository."""
    assert part(results, "questions")["mount"] == [202, 404]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("docker login, wrong password", "401 Unauthorized"),
        ("podman login, wrong password", "invalid username/password"),
        # Neither shows the message of an answer to a login.
        ("docker login, unknown type", "403 Forbidden"),
        ("podman login, unknown type", "403 (Forbidden)"),
        ("docker pull, outside the list", "denied: limited may not pull qnib/hidden"),
        ("podman pull, outside the list", "denied: limited may not pull qnib/hidden"),
    ],
)
def test_users_are_told_what_is_refused(results: dict[str, Any], what: str, words: str) -> None:
    status, output = part(results, "messages")[what]
    assert status != 0
    assert words in output


@pytest.mark.parametrize("runtime", ["docker", "podman"])
def test_what_is_on_the_list_comes(results: dict[str, Any], runtime: str) -> None:
    status, output = part(results, "messages")[f"{runtime} pull, allowed"]
    assert status == 0, output


def test_who_may_push_does_so(results: dict[str, Any]) -> None:
    pushes = part(results, "pushes")
    assert pushes["allowed"]["status"] == 0, pushes["allowed"]["output"]
    assert pushes["pulled"]["status"] == 0, pushes["pulled"]["output"]
    assert pushes["elsewhere"]["status"] != 0
    assert "denied" in pushes["elsewhere"]["output"]


def test_guesses_are_slowed_down_and_the_known_are_not(results: dict[str, Any]) -> None:
    got = part(results, "guesses")
    assert got["guesses"][:3] == [401, 401, 401]
    assert set(got["guesses"][3:]) == {429}
    assert all(seconds.isdigit() and int(seconds) > 0 for seconds in got["retry after"][3:])
    assert got["known"] == 200


@pytest.mark.parametrize("when", ["new", "ended"])
@pytest.mark.parametrize(
    "what",
    [
        *("manifests/latest", "manifests/{child}", "blobs/{layer}", "tags/list"),
        *("docker pull", "docker push"),
    ],
)
def test_tokens_may_end_in_the_middle(results: dict[str, Any], when: str, what: str) -> None:
    status, output = part(results, "expiry")[f"{when} {what}"]
    assert status == 200, output


@pytest.mark.parametrize(
    "where",
    [
        "client's at the registry",
        "client's at the issuer",
        "hub's at the registry",
        "hub's at the client",
        "in the log",
        "headers in the log",
        "clients' in the hub's file",
    ],
)
def test_secrets_stay_where_they_belong(results: dict[str, Any], where: str) -> None:
    assert part(results, "secrets")[where] == []


def test_secrets_would_have_been_found(results: dict[str, Any]) -> None:
    """What was searched holds, where they may be, the clients' logins, tokens and the hub's."""
    found = part(results, "secrets")
    assert int(found["tokens"][0]) > 3
    assert found["seen at the client's side"]
    assert "the hub's" in found["seen at the issuer"]
