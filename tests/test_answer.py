import json

import pytest

from metahub_addon.answer import (
    child_answer,
    error_answer,
    layer_at,
    layer_not_here,
    manifest_answer,
    outdated,
)
from metahub_addon.media_types import DOCKER_LIST
from metahub_addon.upstream import Document
from support.descriptors import child, digest, machine


def test_a_child() -> None:
    answer = child_answer(child(1, "cpu:zen3", "x"), machine(), digest(9), b"{}")
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers == {
        "Content-Type": child(1).media_type,
        "Content-Length": "2",
        "Docker-Content-Digest": digest(1),
        "ETag": f'"{digest(1)}"',
        "X-Metahub-Machine-Type": "host",
        "X-Metahub-Index": digest(9),
        "X-Metahub-Features": "cpu:zen3,x",
    }


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("", 200),
        (f'"{digest(1)}"', 304),
        (f'"{digest(2)}"', 200),
        (f'"x", W/"{digest(1)}"', 304),
        ("*", 304),
    ],
)
def test_conditions(condition: str, status: int) -> None:
    answer = child_answer(child(1), machine(), digest(9), b"{}", condition)
    assert answer.status == status
    assert bool(answer.body) is (status == 200)


@pytest.mark.parametrize(("is_head", "body"), [(False, b"{}\n"), (True, b"")])
def test_a_manifest_as_it_is(is_head: bool, body: bytes) -> None:
    answer = manifest_answer(Document(digest(1), DOCKER_LIST, b"{}\n"), is_head)
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers == {
        "Content-Type": DOCKER_LIST,
        "Content-Length": "3",
        "Docker-Content-Digest": digest(1),
        "ETag": f'"{digest(1)}"',
    }


@pytest.mark.parametrize("is_head", [False, True])
def test_a_manifest_that_the_client_has(is_head: bool) -> None:
    document = Document(digest(1), DOCKER_LIST, b"{}")
    answer = manifest_answer(document, is_head, f'"{digest(2)}", W/"{digest(1)}"')
    assert (answer.status, answer.body) == (304, b"")
    assert set(answer.headers) == {"Docker-Content-Digest", "ETag"}
    assert manifest_answer(document, is_head, f'"{digest(2)}"').status == 200


def test_features_fit_into_a_header() -> None:
    features = [f"größe:{at}" for at in range(200)]
    header = child_answer(child(1, *features), machine(), digest(9), b"").headers
    assert header["X-Metahub-Features"].isascii()
    assert len(header["X-Metahub-Features"]) == 1024


def test_an_error() -> None:
    answer = error_answer(machine(), digest(9), "nothing fits", head=False)
    error = json.loads(answer.body)["errors"][0]
    assert answer.status == 404
    assert error == {
        "code": "MANIFEST_UNKNOWN",
        "message": "nothing fits",
        "detail": {"machine": "host"},
    }
    head = error_answer(machine(), digest(9), "nothing fits", head=True)
    assert head.headers == answer.headers
    assert head.body == b""
    assert answer.headers["Content-Length"] == str(len(answer.body))


@pytest.mark.parametrize(
    ("header", "gone"),
    [("ETag", True), ("transfer-encoding", True), ("X-Checksum-Sha1", True), ("Date", False)],
)
def test_outdated(header: str, gone: bool) -> None:
    assert outdated(header) is gone


def test_a_layer_elsewhere() -> None:
    answer = layer_at("https://reg.test:17443/x", digest(1))
    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers == {
        "Location": "https://reg.test:17443/x",
        "Docker-Content-Digest": digest(1),
        "Content-Length": "0",
    }


def test_a_layer_that_the_registry_has() -> None:
    answer = layer_not_here(digest(1))
    (error,) = json.loads(answer.body)["errors"]
    assert answer.status == 404
    assert (error["code"], error["detail"]) == ("BLOB_UNKNOWN", {"digest": digest(1)})
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert answer.headers["Content-Type"].startswith("application/json")
