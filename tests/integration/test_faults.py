"""Sub-requests that go wrong: the client gets upstream's own answer, one warning says why."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable

import pytest

from integration.conftest import NAME, Node
from integration.test_proxy import children, same, url
from support.embedded_registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, Handler, index_of

pytestmark = pytest.mark.real
Fault = Callable[[Handler], None]


def status(code: int, **headers: str) -> Fault:
    return lambda handler: handler.reply(code, b"{}", headers)


def body(content: bytes, media_type: str) -> Fault:
    return lambda handler: handler.reply(200, content, {"Content-Type": media_type})


def reset(handler: Handler) -> None:
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def stall(handler: Handler) -> None:
    time.sleep(4)
    handler.close_connection = True


def truncated(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", DOCKER_MANIFEST)
    handler.send_header("Content-Length", "400")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True


def loop(handler: Handler) -> None:
    handler.reply(307, headers={"Location": handler.path})


FAULTS: dict[str, tuple[Fault, str]] = {
    "reset": (reset, "Error"),
    "timeout": (stall, "no answer within 2 s|Timeout|no choice within 2 s"),
    "401": (status(401), "answered 401"),
    "404": (status(404), "answered 404"),
    "429": (status(429, **{"Retry-After": "60"}), "answered 429"),
    "500": (status(500), "answered 500"),
    "truncated": (truncated, "RemoteProtocolError"),
    "wrong hash": (body(b"{}", DOCKER_MANIFEST), "answered with other content"),
    "5 MiB": (body(b" " * 5 * 1024 * 1024, DOCKER_MANIFEST), "larger than 4194304"),
    "redirect loop": (loop, "redirected more than 3"),
    "elsewhere": (status(302, Location="file:///etc/passwd"), "redirected from http to file"),
}


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_upstreams_answer(node: Node, fresh: str, method: str, fault: str) -> None:
    act, reason = FAULTS[fault]
    node.registry.faults[f"GET /v2/{fresh}/manifests/sha256:"] = act
    before = len(node.proxy.log)
    began = time.monotonic()
    answer = node.reverse.request(method, url("list", fresh))
    assert time.monotonic() - began < 4
    same(answer, node.direct.request(method, url("list", fresh)))
    node.proxy.wait_for(f"{fresh}:list: left as upstream answered")
    warnings = [line for line in node.proxy.log[before:].splitlines() if "left as" in line]
    assert len(warnings) == 1
    assert any(part in warnings[0] for part in reason.split("|")), warnings[0]


def test_after_a_fault_the_next_pull_is_served(node: Node, fresh: str) -> None:
    node.registry.faults[f"GET /v2/{fresh}/manifests/sha256:"] = status(500)
    assert "X-Metahub-Index" not in node.reverse.head(url("list", fresh)).headers
    node.registry.faults.clear()
    assert "X-Metahub-Index" in node.reverse.head(url("list", fresh)).headers


BAD_INDEXES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "is not JSON"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "no children": (b'{"schemaVersion":2}', "manifests: is not a list"),
    "another type": (
        json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).encode(),
        "mediaType",
    ),
    "bad child": (
        json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": DOCKER_MANIFEST}]}).encode(),
        "manifests[0].digest",
    ),
}


@pytest.mark.parametrize("case", BAD_INDEXES)
def test_a_bad_index_passes_as_it_is(node: Node, fresh: str, case: str) -> None:
    content, reason = BAD_INDEXES[case]
    node.registry.faults[url("list", fresh)] = body(content, DOCKER_LIST)
    same(node.reverse.get(url("list", fresh)), node.direct.get(url("list", fresh)))
    assert reason in node.proxy.wait_for(f"{fresh}:list: left as upstream answered")


def test_a_large_index_is_streamed_as_it_is(node: Node, fresh: str) -> None:
    node.registry.faults[url("list", fresh)] = body(b" " * 5 * 1024 * 1024, DOCKER_LIST)
    answer = node.reverse.get(url("list", fresh))
    assert len(answer.content) == 5 * 1024 * 1024
    node.proxy.wait_for(f"{fresh}:list: left as upstream answered")


def test_an_index_that_holds_itself(node: Node, fresh: str) -> None:
    named = {"mediaType": DOCKER_LIST, "digest": "sha256:" + "1" * 64, "size": 1}
    outer = index_of([named, *children(node, name=fresh)])
    descriptor = node.registry.put(fresh, outer, "outer")
    named |= {"digest": descriptor["digest"], "size": descriptor["size"]}
    node.registry.put(fresh, index_of([named]), "self")
    node.registry.manifests[(fresh, "sha256:" + "1" * 64)] = node.registry.manifests[
        (fresh, "self")
    ]
    same(node.reverse.get(url("self", fresh)), node.direct.get(url("self", fresh)))
    node.proxy.wait_for(f"{fresh}:self: left as upstream answered")


def test_a_refused_sub_request(node: Node) -> None:
    """The registry answers once and goes away: what it said reaches the client."""
    index = node.registry.manifests[(NAME, "list")][1]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def answer_once() -> None:
            connection, _ = listener.accept()
            listener.close()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 200 OK\r\nContent-Type: {DOCKER_LIST}\r\n"
                head += f"Content-Length: {len(index)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + index)

        thread = threading.Thread(target=answer_once)
        thread.start()
        answer = node.regular.get(f"http://127.0.0.1:{port}{url('list')}")
        thread.join(5)
    assert answer.content == index
    log = node.proxy.wait_for(f"127.0.0.1/{NAME}:list: left as upstream answered")
    assert "ConnectError" in log
