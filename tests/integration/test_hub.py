"""A real mitmdump as a hub: who gets what of registries behind it, and who nothing."""

import base64
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest

from support.embedded_registry import DOCKER_LIST, EmbeddedRegistry, serving, sha256
from support.mitmdump import Mitmdump, mitmdump

FAMILY: tuple[list[str], ...] = (
    [],
    ["cpu:broadwell"],
    ["cpu:skylake"],
    ["cpu:broadwell", "nvcap:5.2"],
)
NAME = "qnib/bench"
TYPES = {
    "type1": "[cpu:broadwell]",
    "type2": "[cpu:skylake]",
    "type4": "[cpu:broadwell, nvcap:5.2]",
}
VARIANTS = {"type1": "cpu:broadwell", "type2": "cpu:skylake", "type4": "cpu:broadwell,nvcap:5.2"}
RUNTIME = {"User-Agent": "docker/20.10.24 go/go1.19", "Accept": f"{DOCKER_LIST}, */*"}
UPSTREAM_USER, UPSTREAM_PASSWORD = "puller", "upstream-secret"


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass(frozen=True)
class Fleet:
    """A hub, the two registries behind it, and a client without a login."""

    registry: EmbeddedRegistry
    other: EmbeddedRegistry
    hub: Mitmdump
    file: Path
    client: httpx.Client

    def ask(self, path: str, user: str = "qnib-type1", method: str = "GET") -> httpx.Response:
        """Ask as a runtime with a login."""
        headers = {**RUNTIME, "Authorization": basic(user, "right")}
        return self.client.request(method, path, headers=headers)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("hub")
    registry, other = EmbeddedRegistry(), EmbeddedRegistry()
    (folder / "password").write_text(UPSTREAM_PASSWORD + "\n")
    file = folder / "machine-types.yaml"
    with serving(registry), serving(other):
        types = "\n".join(
            f"  - {{name: {name}, platform: linux/amd64, features: {features}}}"
            for name, features in TYPES.items()
        )
        file.write_text(
            f"""user: qnib
password: right
types:
{types}
accounts:
  - {{user: narrow, password: "{hashed("right")}", types: [type1], pull: ["qnib/open*"]}}
  - {{user: pusher, password: "{hashed("right")}", push: ["qnib/*"]}}
upstreams:
  - url: http://127.0.0.1:{registry.port}
    username: {UPSTREAM_USER}
    password_file: {folder}/password
  - {{name: other, url: "http://127.0.0.1:{other.port}", prefix: other}}
"""
        )
        mode = f"reverse:http://127.0.0.1:{registry.port}"
        with (
            mitmdump(folder, [mode], None, [f"metahub_machine_types={file}"]) as hub,
            httpx.Client(base_url=f"http://127.0.0.1:{hub.ports[0]}", trust_env=False) as client,
        ):
            yield Fleet(registry, other, hub, file, client)


@pytest.fixture
def fleet(running: Fleet) -> Fleet:
    wanted = basic(UPSTREAM_USER, UPSTREAM_PASSWORD)
    for registry in (running.registry, running.other):
        registry.faults.clear()
        registry.put_family(NAME, "latest", FAMILY)
        registry.seen.clear()
    running.registry.put_family("qnib/open", "latest", FAMILY)
    for name in (NAME, "qnib/open", "qnib/pushed"):
        running.registry.tokens[name] = wanted
    return running


def replace_file(file: Path, text: str) -> None:
    """Change a file in one step; who writes in place is waited for."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def errors(response: httpx.Response) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = response.json()["errors"]
    return found


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("machine", TYPES)
def test_the_login_tells_the_machine_type(fleet: Fleet, machine: str, method: str) -> None:
    answer = fleet.ask(f"/v2/{NAME}/manifests/latest", f"qnib-{machine}", method)
    assert answer.status_code == 200
    assert answer.headers["X-Metahub-Machine-Type"] == machine
    assert answer.headers["X-Metahub-Features"] == VARIANTS[machine]
    child = fleet.ask(f"/v2/{NAME}/manifests/{answer.headers['Docker-Content-Digest']}")
    assert sha256(child.content) == answer.headers["Docker-Content-Digest"]
    assert len(child.content) == int(answer.headers["Content-Length"])
    layer = child.json()["layers"][0]["digest"]
    assert fleet.ask(f"/v2/{NAME}/blobs/{layer}").text == VARIANTS[machine]


@pytest.mark.parametrize(
    ("user", "password", "status", "code"),
    [
        ("", "", 401, "UNAUTHORIZED"),
        ("qnib-type1", "wrong", 401, "UNAUTHORIZED"),
        ("nobody-type1", "right", 401, "UNAUTHORIZED"),
        ("qnib-type9", "right", 403, "DENIED"),
        ("qnib", "right", 403, "DENIED"),
        ("narrow-type1", "right", 403, "DENIED"),
        ("narrow-type2", "right", 403, "DENIED"),
    ],
)
def test_who_may_not(fleet: Fleet, user: str, password: str, status: int, code: str) -> None:
    login = {"Authorization": basic(user, password)} if user else {}
    asked = [
        fleet.client.get(f"/v2/{NAME}/manifests/latest", headers={**RUNTIME, **login}),
        fleet.client.head(f"/v2/{NAME}/manifests/latest", headers={**RUNTIME, **login}),
    ]
    assert [answer.status_code for answer in asked] == [status, status]
    assert [error["code"] for error in errors(asked[0])] == [code]
    assert ("WWW-Authenticate" in asked[0].headers) == (status == 401)
    assert fleet.registry.seen == []


def test_what_one_has_pulled_is_for_nobody_else(fleet: Fleet) -> None:
    digest = fleet.ask(f"/v2/{NAME}/manifests/latest").headers["Docker-Content-Digest"]
    path = f"/v2/{NAME}/manifests/{digest}"
    assert fleet.ask(path).status_code == 200
    assert fleet.ask(path, "narrow-type1").status_code == 403
    assert fleet.client.get(path, headers=RUNTIME).status_code == 401
    elsewhere = fleet.ask(f"/v2/qnib/elsewhere/manifests/{digest}")
    assert elsewhere.status_code == 404


def test_no_login_goes_further(fleet: Fleet) -> None:
    fleet.ask(f"/v2/{NAME}/manifests/latest")
    fleet.ask(f"/v2/{NAME}/tags/list")
    fleet.ask(f"/v2/other/{NAME}/manifests/latest")
    seen = [*fleet.registry.seen, *fleet.other.seen]
    theirs = {one.authorization for one in seen}
    assert theirs <= {"", basic(UPSTREAM_USER, UPSTREAM_PASSWORD)}
    assert {one.authorization for one in fleet.other.seen} == {""}
    log = fleet.hub.log
    for secret in ("right", UPSTREAM_PASSWORD, basic("qnib-type1", "right").partition(" ")[2]):
        assert secret not in log


def test_the_password_is_not_in_the_file_any_longer(fleet: Fleet) -> None:
    text = fleet.file.read_text()
    assert "password: right" not in text
    assert text.count("$2b$") == 3


def test_another_registry_by_prefix(fleet: Fleet) -> None:
    answer = fleet.ask(f"/v2/other/{NAME}/manifests/latest", "qnib-type2")
    assert answer.headers["X-Metahub-Features"] == "cpu:skylake"
    assert fleet.registry.seen == []
    layer = answer.json()["layers"][0]["digest"]
    assert fleet.ask(f"/v2/other/{NAME}/blobs/{layer}").text == "cpu:skylake"
    assert [one.path for one in fleet.other.seen][-1] == f"/v2/{NAME}/blobs/{layer}"


def test_features_in_the_login(fleet: Fleet) -> None:
    answer = fleet.ask(f"/v2/{NAME}/manifests/latest", "qnib/cpu#skylake")
    assert answer.headers["X-Metahub-Features"] == "cpu:skylake"


def test_tools_that_copy_see_the_whole_index(fleet: Fleet) -> None:
    headers = {"Authorization": basic("qnib-type1", "right"), "Accept": "*/*"}
    path = f"/v2/{NAME}/manifests/latest"
    answer = fleet.client.get(path, headers={**headers, "User-Agent": "skopeo/1.9"})
    assert len(answer.json()["manifests"]) == len(FAMILY)


def test_a_push(fleet: Fleet) -> None:
    path = "/v2/qnib/pushed/blobs/uploads/"
    refused = fleet.ask(path, "qnib-type1", "POST")
    assert (refused.status_code, errors(refused)[0]["code"]) == (403, "DENIED")
    started = fleet.ask(path + f"?mount={'sha256:' + '0' * 64}&from=secret/x", "pusher", "POST")
    assert started.status_code == 202
    assert started.headers["Location"].startswith("/v2/qnib/pushed/blobs/uploads/")
    assert "secret" not in "".join(one.path for one in fleet.registry.seen)
    body = b"layer"
    login = {"Authorization": basic("pusher", "right")}
    location = f"{started.headers['Location']}?digest={sha256(body)}"
    assert fleet.client.put(location, content=body, headers=login).status_code == 201
    denied = fleet.client.put("/v2/other/x/blobs/uploads/1", content=body, headers=login)
    assert denied.status_code == 403


def test_only_the_distribution_api(fleet: Fleet) -> None:
    for path in ("/", "/v2/_catalog", "/v1/", "/token", "/v2/qnib/bench/other/1"):
        assert fleet.ask(path).status_code == 404
    assert fleet.ask("/v2/").status_code == 200
    assert fleet.client.get("/v2/").status_code == 401
    assert fleet.registry.seen == []


def test_the_types_of_an_account(fleet: Fleet) -> None:
    answer = fleet.ask("/v2/_metahub/machine-types", "narrow").json()
    assert answer == {
        "account": "narrow",
        "types": [
            {
                "machine_type": "type1",
                "platform": "linux/amd64",
                "features": ["cpu:broadwell"],
                "login": "narrow-type1",
            }
        ],
    }


def test_a_registry_that_denies_or_is_away(fleet: Fleet) -> None:
    fleet.registry.tokens["qnib/locked"] = "Basic something-else"
    fleet.registry.put_family("qnib/locked", "latest", FAMILY)
    for path in ("/v2/qnib/locked/manifests/latest", "/v2/qnib/locked/tags/list"):
        denied = fleet.ask(path)
        assert (denied.status_code, errors(denied)[0]["code"]) == (403, "DENIED")
        assert "WWW-Authenticate" not in denied.headers
    missing = fleet.ask(f"/v2/{NAME}/manifests/missing")
    assert (missing.status_code, errors(missing)[0]["code"]) == (404, "MANIFEST_UNKNOWN")


def test_what_a_registry_keeps_runs_nowhere(fleet: Fleet) -> None:
    """A page among the layers must not become one of the hub's."""
    evil = {
        "Content-Type": "text/html",
        "Refresh": "0;url=//evil.test",
        "Access-Control-Allow-Origin": "*",
        "Service-Worker-Allowed": "/",
        "X-Metahub-Machine-Type": "another",
        "Content-Security-Policy": "script-src *",
    }
    fleet.registry.faults["/blobs/"] = lambda handler: handler.reply(200, b"<script>", evil)
    answers = [fleet.ask(f"/v2/{NAME}/blobs/{sha256(b'')}"), fleet.ask("/v2/"), fleet.ask("/")]
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not set(answers[0].headers) & {"refresh", "service-worker-allowed"}
    assert "X-Metahub-Machine-Type" not in answers[0].headers


def test_no_other_protocol(fleet: Fleet) -> None:
    upgraded = {"Upgrade": "raw", "Connection": "Upgrade"}
    fleet.registry.faults["/blobs/"] = lambda handler: handler.reply(101, b"", upgraded)
    assert fleet.ask(f"/v2/{NAME}/blobs/{sha256(b'')}").status_code == 502


def test_an_unknown_request_with_a_long_body_is_cut_off(fleet: Fleet) -> None:
    with pytest.raises((httpx.NetworkError, httpx.RemoteProtocolError)):
        fleet.client.put(f"/v2/{NAME}/blobs/uploads/1", content=b"0" * (2 << 20))


@pytest.mark.parametrize("part", [b"a" * 65536, b"a: b\r\n" * 10000])
def test_headers_without_an_end_are_cut_off(fleet: Fleet, part: bytes) -> None:
    with socket.create_connection(("127.0.0.1", fleet.hub.ports[0]), 20) as connection:
        connection.sendall(b"GET /v2/ HTTP/1.1\r\nHost: h\r\nX: ")
        with pytest.raises(ConnectionError):
            connection.sendall(part * 200)
    assert fleet.hub.peak_memory_mib() < 400


def test_each_is_asked_for_once(fleet: Fleet) -> None:
    name = "qnib/once"
    fleet.registry.put_family(name, "latest", FAMILY)
    for machine in (*TYPES, *TYPES):
        digest = fleet.ask(f"/v2/{name}/manifests/latest", f"qnib-{machine}", "HEAD").headers[
            "Docker-Content-Digest"
        ]
        fleet.ask(f"/v2/{name}/manifests/{digest}", f"qnib-{machine}")
    gets = fleet.registry.asked("GET")
    assert len(gets) == len(set(gets)) == 1 + len(TYPES)


def test_a_changed_file_is_taken_up(fleet: Fleet) -> None:
    before = fleet.file.read_text()
    try:
        replace_file(
            fleet.file,
            before.replace(
                "types:\n", "types:\n  - {name: type9, platform: linux/amd64, features: []}\n", 1
            ),
        )
        answer = fleet.ask(f"/v2/{NAME}/manifests/latest", "qnib-type9")
        assert answer.headers["X-Metahub-Features"] == ""
        replace_file(fleet.file, "user: [")
        assert fleet.ask(f"/v2/{NAME}/manifests/latest", "qnib-type9").status_code == 200
    finally:
        replace_file(fleet.file, before)
    assert fleet.ask(f"/v2/{NAME}/manifests/latest", "qnib-type9").status_code == 403


def test_json_is_json(fleet: Fleet) -> None:
    assert json.loads(fleet.ask("/v2/").content) == {}
