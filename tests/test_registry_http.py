import asyncio
import gc
import gzip
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from metahub_addon import __version__
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.registry_http import RegistryHttp
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.token_exchange import TokenRequest
from metahub_addon.upstream import FetchError, Registry, Repository
from support.bombs import bomb, brotli, little_memory
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, serving
from support.mitmdump import free_port


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    with serving(EmbeddedRegistry()) as registry:
        yield registry


@pytest.fixture
def other() -> Iterator[EmbeddedRegistry]:
    """Another server, which answers everything with the request's headers."""
    with serving(EmbeddedRegistry(faults={"": told})) as other:
        yield other


@pytest.fixture
async def http() -> AsyncIterator[RegistryHttp]:
    http = RegistryHttp(TlsSettings(), 5)
    yield http
    await http.aclose()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that end in .test are this machine's; there is a metadata service."""
    real = socket.getaddrinfo

    def resolve(host: Any, *args: Any, **more: Any) -> Any:
        name = host if isinstance(host, str) else host.decode()
        known = {"metadata.example": "169.254.169.254"}
        address = "127.0.0.1" if name.endswith(".test") else known.get(name, host)
        return real(address, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def told(handler: Handler) -> None:
    handler.reply(200, json.dumps(dict(handler.headers.items())).encode())


def to(location: str, status: int = 307) -> Callable[[Handler], None]:
    return lambda handler: handler.reply(status, headers={"Location": location})


def at(registry: EmbeddedRegistry, host: str = "127.0.0.1", name: str = "a/b") -> Repository:
    place = Registry(scheme="http", host=host, port=registry.port, authority="r.test:1")
    return Repository(
        registry=place, name=name, authorization="Basic client-secret", user_agent="client"
    )


async def test_what_is_sent(registry: EmbeddedRegistry, http: RegistryHttp) -> None:
    """What is ours to say nobody else says: also not in another letter case."""
    registry.faults[""] = told
    given = {"accept": "x/y", "If-None-Match": '"z"', "authorization": "given", "host": "evil"}
    answer = await http.ask(at(registry), "GET", "tags/list?n=1&last=a%2Fb", given, "Bearer t")
    sent = {name.lower(): value for name, value in json.loads(answer.body).items()}
    assert sent == {
        "host": "r.test:1",
        "accept": "x/y",
        "if-none-match": '"z"',
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "user-agent": f"metahub/{__version__}",
        "authorization": "Bearer t",
    }
    assert registry.seen[0].path == "/v2/a/b/tags/list?n=1&last=a%2Fb"


@pytest.mark.parametrize(
    ("name", "path", "namespace", "asked"),
    [
        ("", "", "", "/v2/"),
        ("", "_catalog?n=5", "", "/v2/_catalog?n=5"),
        ("a/b", "manifests/latest", "", "/v2/a/b/manifests/latest"),
        ("a/b", "manifests/latest", "r.test", "/v2/a/b/manifests/latest?ns=r.test"),
        ("a/b", "tags/list?n=1", "r.test", "/v2/a/b/tags/list?n=1&ns=r.test"),
        ("a/b", "blobs/uploads/", "", "/v2/a/b/blobs/uploads/"),
    ],
)
async def test_where_it_goes(
    registry: EmbeddedRegistry,
    http: RegistryHttp,
    name: str,
    path: str,
    namespace: str,
    asked: str,
) -> None:
    registry.faults[""] = told
    await http.ask(replace(at(registry, name=name), namespace=namespace), "GET", path, {})
    assert registry.seen[0].path == asked


@pytest.mark.parametrize("path", ["../x", "manifests/../../../admin", "./x"])
async def test_paths_that_lead_out(
    registry: EmbeddedRegistry, http: RegistryHttp, path: str
) -> None:
    with pytest.raises(FetchError, match="no path of a registry"):
        await http.ask(at(registry), "GET", path, {})
    assert not registry.seen


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_another_server_gets_no_credentials(
    registry: EmbeddedRegistry,
    other: EmbeddedRegistry,
    http: RegistryHttp,
    method: str,
    status: int,
) -> None:
    registry.faults["/v2/"] = to(f"http://user:secret@127.0.0.1:{other.port}/x?sig=1", status)
    given = {"Accept": "x/y", "X-Own": "secret"}
    answer = await http.ask(at(registry), method, "manifests/x", given, "Bearer secret")
    assert answer.status == 200
    assert "secret" not in answer.body.decode()
    (seen,) = other.seen
    assert (seen.method, seen.path, seen.authorization) == (method, "/x?sig=1", "")
    assert seen.user_agent == f"metahub/{__version__}"


async def test_the_same_server_gets_them(registry: EmbeddedRegistry, http: RegistryHttp) -> None:
    registry.faults["/manifests/x"] = to("/v2/a/b/elsewhere")
    registry.faults["/elsewhere"] = told
    answer = await http.ask(at(registry), "GET", "manifests/x", {}, "Bearer t")
    assert json.loads(answer.body)["Authorization"] == "Bearer t"


async def test_who_lost_them_on_the_way_does_not_get_them_back(
    registry: EmbeddedRegistry, other: EmbeddedRegistry, http: RegistryHttp
) -> None:
    registry.faults["/manifests/x"] = to(f"http://127.0.0.1:{other.port}/x")
    other.faults[""] = to(f"http://127.0.0.1:{registry.port}/v2/back")
    registry.faults["/back"] = told
    answer = await http.ask(at(registry), "GET", "manifests/x", {}, "Bearer t")
    assert "Authorization" not in json.loads(answer.body)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_what_changes_something_is_not_sent_elsewhere(
    registry: EmbeddedRegistry, other: EmbeddedRegistry, http: RegistryHttp, method: str
) -> None:
    registry.faults["/v2/"] = to(f"http://127.0.0.1:{other.port}/x")
    assert (await http.ask(at(registry), method, "manifests/x", {})).status == 307
    assert not other.seen


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/v2/a/b/manifests/x", "redirected more than 3 times"),
        ("https://cdn.test/x", "redirected from http to https"),
        ("file:///etc/passwd", "redirected from http to file"),
        ("http://[::1/", "RemoteProtocolError"),
        ("http://user:secret@host:x/", "RemoteProtocolError"),
        ("http://127.0.0.1:1/x", "127.0.0.1, which is local to the hub"),
        ("http://169.254.169.254/latest", "169.254.169.254, which is local to the hub"),
        ("http://localhost/x", "localhost, which is local to the hub"),
        ("http://0x7f.1/x", "which is local to the hub"),
    ],
)
@pytest.mark.usefixtures("names")
async def test_places_that_a_registry_may_not_lead_to(
    registry: EmbeddedRegistry, http: RegistryHttp, location: str, message: str
) -> None:
    registry.faults["/v2/"] = to(location)
    with pytest.raises(FetchError) as caught:
        await http.ask(at(registry, host="r.test"), "GET", "manifests/x", {}, "Bearer secret")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.usefixtures("names")
async def test_a_registry_may_lead_to_any_other_name(
    registry: EmbeddedRegistry, other: EmbeddedRegistry, http: RegistryHttp
) -> None:
    registry.faults["/v2/"] = to(f"http://cdn.test:{other.port}/x")
    answer = await http.ask(at(registry, host="r.test"), "GET", "blobs/x", {})
    assert json.loads(answer.body)["Host"] == f"cdn.test:{other.port}"


@pytest.mark.usefixtures("names")
async def test_the_registrys_own_host_is_no_other(
    registry: EmbeddedRegistry, other: EmbeddedRegistry, http: RegistryHttp
) -> None:
    """Whatever its addresses: it may have a public and a private one."""
    registry.faults["/v2/"] = to(f"http://r.test:{other.port}/x")
    place = at(registry, host="r.test")
    assert (await http.ask(place, "GET", "blobs/x", {})).status == 200
    token = TokenRequest(f"http://r.test:{other.port}/t")
    assert (await http.ask_token(place.registry, token)).status == 200


@pytest.mark.usefixtures("names")
async def test_names_of_addresses_that_no_registry_leads_to(
    registry: EmbeddedRegistry, http: RegistryHttp
) -> None:
    """Not even one of this machine leads to a cloud's metadata service."""
    registry.faults["/v2/"] = to("http://metadata.example/latest")
    with pytest.raises(FetchError, match=r"sent to metadata\.example, which is local"):
        await http.ask(at(registry), "GET", "manifests/x", {})
    asked = TokenRequest("http://metadata.example/token", "Basic secret")
    with pytest.raises(FetchError, match=r"sent to metadata\.example, which is local"):
        await http.ask_token(at(registry).registry, asked)


@pytest.mark.usefixtures("names")
async def test_a_public_registry_names_no_token_server_of_this_machine(
    other: EmbeddedRegistry, http: RegistryHttp
) -> None:
    """By a name, of which only a look-up tells whose it is."""
    asked = TokenRequest(f"http://127.0.0.1.nip.test:{other.port}/t", "Basic secret")
    with pytest.raises(FetchError, match=r"sent to 127\.0\.0\.1\.nip\.test, which is local"):
        await http.ask_token(at(other, host="8.8.8.8").registry, asked)
    assert other.seen == []
    await http.ask(at(other, host="r.test"), "GET", "manifests/x", {})
    assert (await http.ask_token(at(other, host="r.test").registry, asked)).status == 200


async def test_a_name_that_is_another_when_it_is_connected_to(
    other: EmbeddedRegistry, http: RegistryHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server of the hub's network answers then is not read."""
    real, answers = socket.getaddrinfo, ["8.8.8.8", "127.0.0.1"]

    def resolve(host: Any, *args: Any, **more: Any) -> Any:
        return real(answers.pop(0) if "bound" in str(host) else host, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    asked = TokenRequest(f"http://bound.example:{other.port}/t", "Basic secret")
    with pytest.raises(FetchError, match=r"sent to bound\.example, which is local"):
        await http.ask_token(at(other, host="8.8.8.8").registry, asked)
    assert answers == []


async def test_an_upstream_proxy_looks_names_up(
    other: EmbeddedRegistry, http: RegistryHttp
) -> None:
    """As it may know names that the hub does not."""
    via = f"http://127.0.0.1:{other.port}"
    place = replace(at(other, host="8.8.8.8").registry, via=via)
    answer = await http.ask_token(place, TokenRequest("http://only-there.example/t"))
    assert answer.status == 200
    assert other.seen[-1].path == "http://only-there.example/t"


def too_much(handler: Handler) -> None:
    handler.reply(200, bytes(MAX_MANIFEST_BYTES + 1))


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x")
    handler.wfile.flush()
    handler.connection.recv(1)  # until the client goes


def cut(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.close_connection = True


def garbled(handler: Handler) -> None:
    handler.wfile.write(b"secret\x1b nonsense\r\n\r\n")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (too_much, "larger than 4194304 bytes"),
        (cut, "RemoteProtocolError"),
        (garbled, "RemoteProtocolError"),
        (endless, "no answer in time"),
    ],
)
async def test_registries_that_fail(
    registry: EmbeddedRegistry, fault: Callable[[Handler], None], message: str
) -> None:
    registry.faults[""] = fault
    http = RegistryHttp(TlsSettings(), 1)
    try:
        with pytest.raises(FetchError, match=message) as caught:
            await http.ask(at(registry), "GET", "manifests/x?q=secret", {}, "Bearer hidden")
        assert str(caught.value).isprintable()
        assert "secret" not in str(caught.value)
        assert "hidden" not in str(caught.value)
        del registry.faults[""]
        assert (await http.ask(at(registry), "GET", "manifests/x", {})).status == 404
    finally:
        await http.aclose()


async def test_a_registry_that_trickles_has_an_end_too(registry: EmbeddedRegistry) -> None:
    """Each byte is in time, the whole never is."""

    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.connection.settimeout(0.05)
        for _ in range(2000):
            handler.wfile.write(b"x")
            try:
                if not handler.connection.recv(1):
                    return
            except TimeoutError:
                continue

    registry.faults[""] = trickle
    http = RegistryHttp(TlsSettings(), 1)
    with pytest.raises(FetchError, match="no answer in time"):
        await http.ask(at(registry), "GET", "manifests/x", {})
    await http.aclose()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_connection_that_was_just_closed(
    registry: EmbeddedRegistry, http: RegistryHttp, method: str
) -> None:
    """Reading is tried once more; what changes something is its sender's business."""

    def hang_up(handler: Handler) -> None:
        del handler.server.registry.faults[""]
        handler.close_connection = True

    registry.faults[""] = hang_up
    if method == "POST":
        with pytest.raises(FetchError, match="cut off"):
            await http.ask(at(registry), method, "blobs/uploads/", {})
    else:
        assert (await http.ask(at(registry), method, "manifests/x", {})).status == 404
    assert len(registry.seen) == (1 if method == "POST" else 2)


async def test_nobody_there(http: RegistryHttp) -> None:
    nobody = EmbeddedRegistry(port=free_port())
    with pytest.raises(FetchError, match=r"r\.test:1/v2/a/b/manifests/x: ConnectError"):
        await http.ask(at(nobody), "GET", "manifests/x", {})


async def test_bytes_go_on_as_mitmproxy_gives_them(
    registry: EmbeddedRegistry, http: RegistryHttp
) -> None:
    """Bytes that are no UTF-8 stand as surrogates."""
    text = b"Bearer \xc3\xa9 \xe9".decode("utf-8", "surrogateescape")
    await http.ask(at(registry), "GET", "manifests/x", {}, text)
    assert registry.seen[0].authorization.encode("latin-1") == b"Bearer \xc3\xa9 \xe9"


@pytest.mark.parametrize("path", ["manifests/\n", "x" * 70_000])
async def test_paths_that_cannot_be_sent(
    registry: EmbeddedRegistry, http: RegistryHttp, path: str
) -> None:
    with pytest.raises(FetchError) as caught:
        await http.ask(at(registry), "GET", path, {})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("given", "authorization"),
    [
        ({}, "Bearer secret\x00"),
        ({}, "Bearer secret\r\nX: y"),
        ({}, "Bearer secret\ud800"),
        ({"X-Own": "secret\n"}, ""),
    ],
)
async def test_what_cannot_be_sent_is_not_shown(
    registry: EmbeddedRegistry,
    http: RegistryHttp,
    given: Mapping[str, str],
    authorization: str,
) -> None:
    with pytest.raises(FetchError, match="a header can't be sent") as caught:
        await http.ask(at(registry), "GET", "manifests/x", given, authorization)
    assert "cret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("trusted", [True, False])
async def test_tls_is_verified_for_the_name(tmp_path: Path, trusted: bool) -> None:
    ca, certificate, key = make_authority(tmp_path, "127.0.0.9", "r.test")
    http = RegistryHttp(TlsSettings(trusted_ca=str(ca) if trusted else None), 5)
    with serving(EmbeddedRegistry(), (str(certificate), str(key))) as registry:
        plain = at(registry).registry
        tls = replace(plain, scheme="https", sni="r.test", verified=True)
        repository = Repository(registry=tls, name="a/b")
        if trusted:
            assert (await http.ask(repository, "GET", "manifests/x", {})).status == 404
            repository = Repository(registry=replace(tls, sni="evil.test"), name="a/b")
        with pytest.raises(FetchError, match="certificate verify failed") as caught:
            await http.ask(repository, "GET", "manifests/x", {}, "Bearer secret")
    # A CA is no remedy for a certificate of another name.
    remedy = "(ssl_verify_upstream_trusted_ca names a CA's file)"
    assert str(caught.value).endswith(remedy) != trusted
    assert all(not seen.authorization for seen in registry.seen)
    await http.aclose()


async def test_a_token_is_asked_for(other: EmbeddedRegistry, http: RegistryHttp) -> None:
    url = f"http://127.0.0.1:{other.port}/t"
    place = at(other).registry
    answer = await http.ask_token(place, TokenRequest(f"{url}?service=s", "Basic x"))
    sent = json.loads(answer.body)
    assert (sent["Authorization"], sent["User-Agent"]) == ("Basic x", f"metahub/{__version__}")
    assert sent["Host"] == f"127.0.0.1:{other.port}"
    posted = await http.ask_token(
        place, TokenRequest(url, form={"grant_type": "x", "scope": "a b"})
    )
    sent = json.loads(posted.body)
    assert sent["Content-Type"] == "application/x-www-form-urlencoded"
    assert "Authorization" not in sent
    assert [(seen.method, seen.path) for seen in other.seen] == [
        ("GET", "/t?service=s"),
        ("POST", "/t"),
    ]


async def test_a_token_server_sends_nobody_elsewhere(
    registry: EmbeddedRegistry, other: EmbeddedRegistry, http: RegistryHttp
) -> None:
    registry.faults[""] = to(f"http://127.0.0.1:{other.port}/x")
    asked = TokenRequest(f"http://127.0.0.1:{registry.port}/t", "Basic secret")
    assert (await http.ask_token(at(registry).registry, asked)).status == 307
    assert not other.seen


async def test_a_token_servers_answer_is_bounded(
    registry: EmbeddedRegistry, http: RegistryHttp
) -> None:
    registry.faults[""] = lambda handler: handler.reply(200, bytes(65537))
    asked = TokenRequest(f"http://127.0.0.1:{registry.port}/t", "Basic secret")
    with pytest.raises(FetchError, match="larger than 65536 bytes"):
        await http.ask_token(at(registry).registry, asked)


@pytest.mark.parametrize(
    ("fault", "message"), [(bomb, "is larger than"), (brotli, "though identity was asked for")]
)
async def test_an_answer_is_bounded_before_it_is_decoded(
    registry: EmbeddedRegistry, http: RegistryHttp, fault: Callable[[Handler], None], message: str
) -> None:
    registry.faults[""] = fault
    asked = TokenRequest(f"http://127.0.0.1:{registry.port}/t", "Basic secret")
    with little_memory():
        with pytest.raises(FetchError, match=message):
            await http.ask(at(registry), "GET", "manifests/x", {})
        with pytest.raises(FetchError, match=message):
            await http.ask_token(at(registry).registry, asked)


async def test_gzip_is_decoded_though_identity_was_asked_for(
    registry: EmbeddedRegistry, http: RegistryHttp
) -> None:
    registry.faults[""] = lambda handler: handler.reply(
        200, gzip.compress(b"text"), {"Content-Encoding": "gzip"}
    )
    assert (await http.ask(at(registry), "GET", "manifests/x", {})).body == b"text"


@pytest.mark.parametrize("fault", [too_much, endless])
async def test_what_is_left_in_the_middle_is_closed(
    registry: EmbeddedRegistry,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[Handler], None],
) -> None:
    """Else Python complains (which fails here) about what nobody has ended."""
    registry.faults[""] = fault
    http = RegistryHttp(TlsSettings(), 30)
    asking = asyncio.create_task(http.ask(at(registry), "GET", "manifests/x", {}))
    while not registry.seen:  # noqa: ASYNC110 (another thread sees it)
        await asyncio.sleep(0.01)
    if fault is too_much:
        await asyncio.wait([asking])
    await http.aclose()
    with pytest.raises((FetchError, asyncio.CancelledError)):
        await asyncio.wait_for(asking, 10)
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_a_cancelled_request_gives_its_connection_back(registry: EmbeddedRegistry) -> None:
    http = RegistryHttp(TlsSettings(), 30)
    registry.faults["/manifests/hang"] = endless
    hanging = [
        asyncio.create_task(http.ask(at(registry), "GET", "manifests/hang", {})) for _ in range(40)
    ]
    while len(registry.seen) < 32:  # noqa: ASYNC110 (another thread sees them)
        await asyncio.sleep(0.01)
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert (await http.ask(at(registry), "GET", "manifests/x", {})).status == 404
    await http.aclose()
