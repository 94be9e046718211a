"""What a client gets through a real mitmdump, by the design's request table."""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from integration.conftest import FAMILY, NAME, Node, as_type
from support.embedded_registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Handler,
    index_of,
    sha256,
)

pytestmark = pytest.mark.real


def url(tag: str, name: str = NAME) -> str:
    return f"/v2/{name}/manifests/{tag}"


def children(node: Node, tag: str = "list", name: str = NAME) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(node.registry.manifests[(name, tag)][1])["manifests"]
    return listed


@pytest.mark.parametrize("mode", ["regular", "reverse"])
@pytest.mark.parametrize("tag", ["list", "oci"])
@pytest.mark.parametrize(("machine", "chosen"), [(1, 1), (2, 2), (3, 2), (4, 3)])
def test_a_tag_is_answered_with_this_hosts_child(
    node: Node, mode: str, tag: str, machine: int, chosen: int
) -> None:
    as_type(node, machine)
    client: httpx.Client = getattr(node, mode)
    child = children(node, tag)[chosen]
    head, get = client.head(url(tag)), client.get(url(tag))
    for answer in (head, get):
        assert answer.status_code == 200
        assert answer.headers["Docker-Content-Digest"] == child["digest"]
        assert answer.headers["Content-Type"] == child["mediaType"]
        assert answer.headers["Content-Length"] == str(child["size"])
        assert answer.headers["ETag"] == f'"{child["digest"]}"'
        assert answer.headers["X-Metahub-Machine-Type"] == f"type{machine}"
        index = node.registry.manifests[(NAME, tag)][1]
        assert answer.headers["X-Metahub-Index"] == sha256(index)
        assert answer.headers["X-Metahub-Features"] == ",".join(FAMILY[chosen])
    assert head.content == b""
    assert sha256(get.content) == child["digest"]


def same(answer: httpx.Response, direct: httpx.Response) -> None:
    """Both say the same, but for the time."""
    assert answer.status_code == direct.status_code
    assert answer.content == direct.content
    names = {*answer.headers, *direct.headers} - {"date"}
    assert {n: answer.headers.get(n) for n in names} == {n: direct.headers.get(n) for n in names}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        "/v2/",
        url("missing"),
        url("single"),
        url("sha256-" + "a" * 64),
        url("sha256-" + "a" * 64 + ".sig"),
        url("no-platforms"),
        f"/v2/{NAME}/tags/list",
        f"/v2/{NAME}/referrers/sha256:{'a' * 64}",
        "/else/where",
    ],
)
def test_what_is_no_index_of_images_passes(node: Node, method: str, path: str) -> None:
    registry = node.registry
    image = registry.put_image(NAME, "single")
    registry.manifests[(NAME, "single")] = registry.manifests[(NAME, image["digest"])]
    registry.put(NAME, index_of([image], OCI_INDEX), "no-platforms")
    for tag in ("sha256-" + "a" * 64, "sha256-" + "a" * 64 + ".sig"):
        registry.put_family(NAME, tag, FAMILY, OCI_INDEX)
    same(node.reverse.request(method, path), node.direct.request(method, path))


def test_a_digest_is_never_touched(node: Node) -> None:
    pinned = url(sha256(node.registry.manifests[(NAME, "list")][1]))
    node.reverse.get(url("list"))
    for method in ("GET", "HEAD"):
        same(node.reverse.request(method, pinned), node.direct.request(method, pinned))
    assert len(node.registry.asked("GET", pinned)) == 2


def test_a_docker_pull_costs_a_head_and_two_gets_and_then_a_head(node: Node, fresh: str) -> None:
    def pull() -> tuple[int, int]:
        node.registry.seen.clear()
        digest = node.reverse.head(url("list", fresh)).headers["Docker-Content-Digest"]
        if pull_child:
            assert sha256(node.reverse.get(url(digest, fresh)).content) == digest
        return len(node.registry.asked("HEAD")), len(node.registry.asked("GET"))

    pull_child = True
    assert pull() == (1, 2)
    pull_child = False
    assert pull() == (1, 0)


@pytest.mark.parametrize(
    ("agent", "sees"),
    [
        ("skopeo/1.9.3", DOCKER_LIST),
        ("Docker-Client/20.10.24 (linux)", DOCKER_LIST),
        ("cosign/v2.4.1 (linux; amd64) go-containerregistry/v0.20", DOCKER_LIST),
        ("docker/20.10 go/go1.19 UpstreamClient(Docker-Client/20.10 \\(linux\\))", DOCKER_MANIFEST),
        ("containerd/1.6.20", DOCKER_MANIFEST),
        ("containers/5.23 (github.com/containers/image)", DOCKER_MANIFEST),
        ("curl/7.88.1", DOCKER_MANIFEST),
    ],
)
def test_tools_see_the_index_and_runtimes_the_child(node: Node, agent: str, sees: str) -> None:
    for method in ("GET", "HEAD"):
        answer = node.reverse.request(method, url("list"), headers={"User-Agent": agent})
        assert answer.headers["Content-Type"] == sees


def test_accept_is_read_in_all_its_lines(node: Node) -> None:
    lines = [("Accept", DOCKER_LIST), ("Accept", DOCKER_MANIFEST)]
    assert node.reverse.get(url("list"), headers=lines).headers["Content-Type"] == DOCKER_MANIFEST
    narrow = node.reverse.get(url("list"), headers={"Accept": DOCKER_LIST})
    assert narrow.headers["Content-Type"] == DOCKER_LIST


def test_a_condition_is_judged_by_the_child(node: Node) -> None:
    child, index = children(node)[1]["digest"], sha256(node.registry.manifests[(NAME, "list")][1])
    for method in ("GET", "HEAD"):
        held = node.reverse.request(method, url("list"), headers={"If-None-Match": f'"{child}"'})
        assert (held.status_code, held.content) == (304, b"")
        stale = node.reverse.request(method, url("list"), headers={"If-None-Match": f'"{index}"'})
        assert stale.headers["Docker-Content-Digest"] == child


def test_nested_indexes_are_opened_and_attestations_left_out(node: Node) -> None:
    registry = node.registry
    inner = registry.put_family(NAME, "inner", FAMILY, OCI_INDEX)
    proof = registry.put_image(NAME, "proof", OCI_MANIFEST)
    proof["platform"] = {"os": "unknown", "architecture": "unknown"}
    proof["annotations"] = {"vnd.docker.reference.type": "attestation-manifest"}
    arm = registry.put_image(NAME, "arm", OCI_MANIFEST)
    arm["platform"] = {"os": "linux", "architecture": "arm64"}
    registry.put(NAME, index_of([proof, arm, inner], OCI_INDEX), "nested")
    for method in ("HEAD", "GET"):
        answer = node.reverse.request(method, url("nested"))
        assert answer.headers["Docker-Content-Digest"] == children(node, "oci")[1]["digest"]


def test_a_push_passes_byte_for_byte(node: Node) -> None:
    body = node.registry.manifests[(NAME, "list")][1] + b"\n "
    put = node.reverse.put(url("pushed"), content=body, headers={"Content-Type": DOCKER_LIST})
    assert put.status_code == 201
    assert node.registry.manifests[(NAME, "pushed")][1] == body
    layer = bytes(range(256)) * 4096
    session = node.reverse.post(f"/v2/{NAME}/blobs/uploads/").headers["Location"]
    done = node.reverse.put(session, params={"digest": sha256(layer)}, content=layer)
    assert done.status_code == 201
    assert node.registry.blobs[sha256(layer)] == layer


def test_a_closed_repository_stays_closed_though_cached(node: Node, fresh: str) -> None:
    node.registry.tokens[fresh] = "Bearer right-and-secret"
    right = {"Authorization": "Bearer right-and-secret"}
    wrong = {"Authorization": "Bearer wrong-and-secret"}
    assert node.reverse.get(url("list", fresh), headers=right).status_code == 200
    assert "X-Metahub-Index" in node.reverse.head(url("list", fresh), headers=right).headers
    for method in ("GET", "HEAD"):
        for headers in ({}, wrong):
            through = node.reverse.request(method, url("list", fresh), headers=headers)
            same(through, node.direct.request(method, url("list", fresh), headers=headers))
            assert through.status_code == 401
    assert "and-secret" not in node.proxy.log


def test_one_fetch_serves_all_who_wait(node: Node, fresh: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: node.reverse.get(url("list", fresh)), range(16)))
    assert {answer.headers["Docker-Content-Digest"] for answer in answers} == {
        children(node, name=fresh)[1]["digest"]
    }
    assert len(node.registry.asked("GET", f"{fresh}/manifests/sha256:")) == 1


def send(body: bytes, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(
        200, body, {name.replace("_", "-"): value for name, value in headers.items()}
    )


def test_a_compressed_index_and_one_of_unknown_length_are_answered(node: Node, fresh: str) -> None:
    index = node.registry.manifests[(fresh, "list")][1]

    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", DOCKER_LIST)
        handler.send_header("Docker-Content-Digest", sha256(index))
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(index), index))

    zipped = send(
        gzip.compress(index),
        Content_Type=DOCKER_LIST,
        Docker_Content_Digest=sha256(index),
        Content_Encoding="gzip",
    )
    for fault in (chunked, zipped):
        node.registry.faults[url("list", fresh)] = fault
        answer = node.reverse.get(url("list", fresh))
        assert sha256(answer.content) == children(node, name=fresh)[1]["digest"]


def test_a_registry_that_compresses_whatever_it_is_asked_for(node: Node, fresh: str) -> None:
    """As stores do that keep what they have been given: what the node itself fetches, too."""

    def zipped(handler: Handler) -> None:
        media_type, body = node.registry.manifests[(fresh, handler.path.rpartition("/")[2])]
        headers = {"Content-Type": media_type, "Docker-Content-Digest": sha256(body)}
        handler.reply(200, gzip.compress(body), {**headers, "Content-Encoding": "gzip"})

    node.registry.faults[f"/v2/{fresh}/manifests/"] = zipped
    answer = node.reverse.get(url("list", fresh))
    assert sha256(answer.content) == children(node, name=fresh)[1]["digest"]
    assert node.registry.asked("GET", f"{fresh}/manifests/sha256:")


def test_a_layer_of_one_gib_is_streamed(node: Node) -> None:
    node.registry.huge_blob = 1024**3
    size = 0
    for client in (node.reverse, node.regular):
        with client.stream("GET", f"/v2/{NAME}/blobs/sha256:{'0' * 64}") as answer:
            size += sum(len(chunk) for chunk in answer.iter_raw())
    assert size == 2 * 1024**3
    assert node.proxy.peak_memory_mib() < 150


def test_a_changed_profile_is_taken_up_and_a_broken_one_is_not(node: Node) -> None:
    answers = []
    for text in ("features: [cpu:skylake]", "features: [cpu:broadwell", "featurs: [cpu:x]"):
        node.use("changed", text)
        answers.append(node.reverse.head(url("list")).headers["X-Metahub-Features"])
    node.profile.unlink()
    answers.append(node.reverse.head(url("list")).headers["X-Metahub-Features"])
    assert answers == ["cpu:skylake"] * 4
    assert node.proxy.log.count(f"{node.profile}:3: featurs: unknown key") == 1
    assert f"{node.profile}: cannot be read: No such file" in node.proxy.log


def test_nothing_fits(node: Node) -> None:
    node.registry.put_family(NAME, "picky", [["cpu:zen3"], ["nvcap:9.0"]])
    same(node.reverse.get(url("picky")), node.direct.get(url("picky")))
    node.use("strict", "features: [cpu:broadwell]", "otherwise: error")
    refused = node.reverse.get(url("picky"))
    assert refused.status_code == 404
    error = refused.json()["errors"][0]
    assert error["code"] == "MANIFEST_UNKNOWN"
    assert "machine type strict" in error["message"]
    assert "cpu:zen3" in error["message"]
    head = node.reverse.head(url("picky"))
    assert (head.status_code, head.content) == (404, b"")


def test_a_child_that_is_missing_upstream_is_left_out_next_time(node: Node, fresh: str) -> None:
    wanted, generic = children(node, name=fresh)[1]["digest"], children(node, name=fresh)[0]
    del node.registry.manifests[(fresh, wanted)]
    promised = node.reverse.head(url("list", fresh)).headers["Docker-Content-Digest"]
    assert promised == wanted
    assert node.reverse.get(url(promised, fresh)).status_code == 404
    again = node.reverse.head(url("list", fresh)).headers["Docker-Content-Digest"]
    assert again == generic["digest"]
