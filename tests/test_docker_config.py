import base64
import json
from typing import Any

import pytest

from metahub_addon.credentials import Credentials
from metahub_addon.docker_config import (
    DOCKER_HUB,
    DockerConfig,
    Helper,
    InvalidDockerConfig,
    parse_docker_config,
)

ANN = Credentials(username="ann", password="pw")
ENTRY = {"auth": base64.b64encode(b"ann:pw").decode()}


def parsed(document: Any) -> DockerConfig:
    return parse_docker_config(json.dumps(document), "c.json")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, None),
        ({"email": "x"}, None),
        (None, None),
        (ENTRY, ANN),
        ({"username": "ann", "password": "pw"}, ANN),
        ({"username": "x", "password": "y", **ENTRY}, ANN),
        (
            {"auth": base64.b64encode(b"ann:p:w\0").decode()},
            Credentials(username="ann", password="p:w"),
        ),
        (
            {"auth": base64.b64encode(b"ann:").decode(), "identitytoken": "id"},
            Credentials(username="ann", identity_token="id"),
        ),
        ({"identitytoken": "id"}, Credentials(identity_token="id")),
        ({"password": "pw"}, None),
    ],
)
def test_entries(entry: Any, expected: Credentials | None) -> None:
    assert parsed({"auths": {"r.test": entry}}).lookup("r.test") == expected


@pytest.mark.parametrize(
    ("key", "host", "found"),
    [
        ("r.test", "r.test", True),
        ("r.test", "R.test", True),
        ("r.test:5000", "r.test:5000", True),
        ("r.test:5000", "r.test", False),
        ("r.test", "r.test:5000", False),
        ("r.test", "r.test:443", True),
        ("r.test:443", "r.test", True),
        ("https://r.test", "r.test", True),
        ("https://r.test/v2/", "r.test", True),
        ("http://r.test:5000/v1/", "r.test:5000", True),
        ("r.test/v1/", "r.test", True),
        ("[::1]:5000", "[::1]:5000", True),
        ("other.test", "r.test", False),
        ("r.test.evil", "r.test", False),
        (DOCKER_HUB, "registry-1.docker.io", True),
        (DOCKER_HUB, "registry-1.docker.io:443", True),
        (DOCKER_HUB, "docker.io", True),
        ("docker.io", "registry-1.docker.io", True),
        ("index.docker.io", "registry-1.docker.io", True),
        ("https://index.docker.io/v2/", "registry-1.docker.io", True),
        (DOCKER_HUB, "auth.docker.io", False),
    ],
)
def test_keys_as_docker_reads_them(key: str, host: str, found: bool) -> None:
    assert parsed({"auths": {key: ENTRY}}).lookup(host) == (ANN if found else None)


def test_the_exact_key_comes_first() -> None:
    other = {"username": "bob", "password": "x"}
    config = parsed({"auths": {"https://r.test/v1/": other, "r.test": ENTRY, "x": {}}})
    assert config.lookup("r.test") == ANN


@pytest.mark.parametrize(
    ("more", "host", "expected"),
    [
        ({"credHelpers": {"r.test": "own"}}, "r.test", Helper("own", "r.test")),
        ({"credHelpers": {"r.test": "own"}}, "r.test:443", Helper("own", "r.test")),
        ({"credHelpers": {"other": "own"}}, "r.test", ANN),
        ({"credsStore": "all"}, "r.test", Helper("all", "r.test")),
        ({"credsStore": "all"}, "r.test:5000", Helper("all", "r.test:5000")),
        (
            {"credsStore": "all", "credHelpers": {"r.test": "own"}},
            "r.test",
            Helper("own", "r.test"),
        ),
        ({"credsStore": "all", "credHelpers": {"r.test": ""}}, "r.test", ANN),
        ({"credsStore": ""}, "r.test", ANN),
        ({"credsStore": "all"}, "registry-1.docker.io", Helper("all", DOCKER_HUB)),
        ({"credHelpers": {"docker.io": "own"}}, "registry-1.docker.io", Helper("own", DOCKER_HUB)),
        ({"credHelpers": {DOCKER_HUB: "own"}}, "docker.io", Helper("own", DOCKER_HUB)),
        ({"HttpHeaders": {"X": "y"}, "proxies": []}, "r.test", ANN),
    ],
)
def test_helpers_come_before_the_file(
    more: dict[str, Any], host: str, expected: Credentials | Helper
) -> None:
    assert parsed({"auths": {"r.test": ENTRY}, **more}).lookup(host) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c.json: is not JSON"),
        ('{"auths": {"r": {"auth": "secret', "c.json: is not JSON"),
        ("[" * 100_000, "c.json: is not JSON"),
        ('["secret"]', "c.json: the whole: is not an object"),
        ('{"auths": "secret"}', "c.json: auths: is not an object"),
        ('{"auths": {"r\\u001b": "secret"}}', r"c.json: auths.r\x1b: is not an object"),
        ('{"auths": {"r": {"password": 5}}}', "c.json: auths.r.password: is not a string"),
        ('{"auths": {"r": {"auth": "secret"}}}', "c.json: auths.r.auth: is not base64"),
        ('{"auths": {"r": {"auth": "sécret"}}}', "c.json: auths.r.auth: is not base64"),
        ('{"auths": {"r": {"auth": "c2VjcmV0"}}}', "c.json: auths.r.auth: is not base64"),
        ('{"auths": {"r": {"auth": "/zo6"}}}', "c.json: auths.r.auth: is not base64"),
        ('{"credHelpers": 5}', "c.json: credHelpers: is not an object"),
        ('{"credHelpers": {"r": {}}}', "c.json: credHelpers.r: is not a string"),
        ('{"credsStore": []}', "c.json: credsStore: is not a string"),
    ],
)
def test_what_is_no_configuration(text: str, message: str) -> None:
    with pytest.raises(InvalidDockerConfig) as caught:
        parse_docker_config(text, "c.json")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "sécret" not in str(caught.value)


def test_no_secret_is_shown() -> None:
    config = parsed({"auths": {"r.test": ENTRY}})
    assert "pw" not in repr(config)
    assert ENTRY["auth"] not in repr(config)
