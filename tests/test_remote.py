import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from metahub_addon.media_types import DOCKER_LIST
from metahub_addon.remote import InvalidReference, RemoteError, RemoteRegistry, parse_reference
from metahub_addon.upstream import FetchError
from support.bombs import bomb, brotli, little_memory
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, serving, sha256

DIGEST = "sha256:" + "a" * 64
HUB = "registry-1.docker.io"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("ubuntu", (HUB, "library/ubuntu", "latest")),
        ("qnib/bench:1", (HUB, "qnib/bench", "1")),
        ("docker.io/qnib/bench", (HUB, "qnib/bench", "latest")),
        ("localhost/a/b", ("localhost", "a/b", "latest")),
        ("r.test:5000/a/b:t", ("r.test:5000", "a/b", "t")),
        (f"r.test/a@{DIGEST}", ("r.test", "a", DIGEST)),
        (f"r.test/a:t@{DIGEST}", ("r.test", "a", DIGEST)),
        ("[::1]:5000/a", ("[::1]:5000", "a", "latest")),
    ],
)
def test_parse_reference(text: str, parts: tuple[str, str, str]) -> None:
    found = parse_reference(text)
    assert (found.registry, found.repository, found.reference) == parts
    assert parse_reference(str(found)) == found


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "r.test/", "a@sha256:1", "a:", "a\n", "-a"])
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_reference(text)


@pytest.mark.parametrize(
    ("text", "local"), [("127.0.0.1:5000/a", True), ("localhost/a", True), ("r.test/a", False)]
)
def test_local_registries(text: str, local: bool) -> None:
    assert parse_reference(text).local is local


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    registry = EmbeddedRegistry()
    registry.put_family("a", "t", [[], ["cpu:zen3"]])
    with serving(registry):
        yield registry


def get(registry: EmbeddedRegistry, reference: str = "t") -> bytes:
    with RemoteRegistry(parse_reference(f"127.0.0.1:{registry.port}/a:t")) as remote:
        return remote.get(reference).body


def test_a_manifest_by_tag_and_digest(registry: EmbeddedRegistry) -> None:
    media_type, body = registry.manifests[("a", "t")]
    assert media_type == DOCKER_LIST
    assert get(registry) == body
    assert get(registry, sha256(body)) == body


def challenge(registry: EmbeddedRegistry, realm: str, token: str) -> None:
    """A registry that wants a token, and the place that issues it."""

    def issue(handler: Handler) -> None:
        handler.reply(200, token.encode())

    def guard(handler: Handler) -> None:
        if handler.headers.get("Authorization") == "Bearer issued":
            return registry.serve(handler, b"")
        scope = f'Bearer realm="{realm}",service="s",scope="repository:a:pull"'
        return handler.reply(401, b"", {"WWW-Authenticate": scope})

    registry.faults = {"/issue": issue, "/v2/a/": guard}


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_an_anonymous_token(registry: EmbeddedRegistry, key: str) -> None:
    challenge(registry, f"http://127.0.0.1:{registry.port}/issue", json.dumps({key: "issued"}))
    assert get(registry) == registry.manifests[("a", "t")][1]
    asked = registry.asked("GET", "/issue")
    assert asked == ["/issue?service=s&scope=repository%3Aa%3Apull"]


@pytest.mark.parametrize(
    ("realm", "token", "says"),
    [
        ("ftp://r.test/issue", "{}", "from a place without TLS"),
        ("", "{}", "wants a login"),
        ("{own}/issue", "[]", "no anonymous token"),
        ("{own}/issue", "x", "no anonymous token"),
        ("{own}/issue", '{"token": 1}', "no anonymous token"),
        ("{own}/issue", '{"token": "other"}', "answered 401"),
        ("{own}/issue", "[" * 200_000, "no anonymous token"),
        ("{own}/issue", " " * (5 * 1024 * 1024), "larger than 4194304"),
    ],
)
def test_no_token(registry: EmbeddedRegistry, realm: str, token: str, says: str) -> None:
    own = f"http://127.0.0.1:{registry.port}"
    challenge(registry, realm.replace("{own}", own), token)
    with pytest.raises(RemoteError, match=says):
        get(registry)


@pytest.mark.parametrize("token", ["secret\\nX: y", "secreté", "secret x"])
def test_a_token_is_never_shown(registry: EmbeddedRegistry, token: str) -> None:
    realm = f"http://127.0.0.1:{registry.port}/issue"
    challenge(registry, realm, f'{{"token": "{token}"}}')
    with pytest.raises(RemoteError, match="no anonymous token") as caught:
        get(registry)
    assert "secret" not in str(caught.value)


def answer(status: int, body: bytes, **headers: str) -> dict[str, object]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "body": body, "headers": named}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (answer(500, b""), "answered 500"),
        (answer(200, b"{}", Docker_Content_Digest=DIGEST), "answered with other content"),
        (answer(200, b" " * (5 * 1024 * 1024)), "larger than 4194304"),
    ],
)
def test_failures(registry: EmbeddedRegistry, given: dict[str, object], says: str) -> None:
    registry.faults["/v2/a/"] = lambda handler: handler.reply(**given)  # type: ignore[arg-type]
    with pytest.raises(RemoteError, match=says) as caught:
        get(registry)
    assert f"127.0.0.1:{registry.port}/a:t" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "says"), [(bomb, "is larger than"), (brotli, "though identity was asked for")]
)
@pytest.mark.parametrize("place", ["/v2/a/", "/issue"])
def test_an_answer_is_bounded_before_it_is_decoded(
    registry: EmbeddedRegistry, place: str, fault: Callable[[Handler], None], says: str
) -> None:
    challenge(registry, f"http://127.0.0.1:{registry.port}/issue", "{}")
    registry.faults[place] = fault
    with little_memory(), pytest.raises(RemoteError, match=says):
        get(registry)


def test_nobody_there(registry: EmbeddedRegistry) -> None:
    with (
        RemoteRegistry(parse_reference("127.0.0.1:1/a")) as remote,
        pytest.raises(RemoteError, match=r"127\.0\.0\.1:1/a:latest: ConnectError"),
    ):
        remote.get("latest")


def test_trust(tmp_path: Path) -> None:
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "localhost")
    registry = EmbeddedRegistry()
    registry.put_family("a", "t", [[]])
    with serving(registry, (str(cert), str(key))):
        image = parse_reference(f"127.0.0.2:{registry.port}/a:t")
        https = type(image)(f"127.0.0.1:{registry.port}", "a", "t")
        assert image.local
        assert https.local
        # Local registries are asked without TLS: reach this one by the scheme itself.
        with RemoteRegistry(https, ca=str(ca)) as remote:
            remote._scheme = "https"
            assert remote.get("t").media_type == DOCKER_LIST
        with RemoteRegistry(https) as remote:
            remote._scheme = "https"
            with pytest.raises(RemoteError, match="CERTIFICATE_VERIFY_FAILED"):
                remote.get("t")
    with pytest.raises(RemoteError, match=r"nowhere\.pem"):
        RemoteRegistry(https, ca=str(tmp_path / "nowhere.pem"))


async def test_ask_below_the_repository(registry: EmbeddedRegistry) -> None:
    name = f"127.0.0.1:{registry.port}/a"
    with RemoteRegistry(parse_reference(name)) as remote:
        repository = remote.repository
        assert (repository.name, repository.registry.port) == ("a", registry.port)
        kind, body = await remote.ask(repository, "manifests/t", DOCKER_LIST, {"x": "y"})
        assert (kind, sha256(body)) == (DOCKER_LIST, sha256(registry.manifests[("a", "t")][1]))
        assert registry.seen[-1].path == "/v2/a/manifests/t?x=y"
        with pytest.raises(FetchError, match="answered 404") as caught:
            await remote.ask(repository, "blobs/none", "*/*", {})
        assert caught.value.status == 404
    with (
        RemoteRegistry(parse_reference("127.0.0.1:1/a")) as nobody,
        pytest.raises(FetchError, match="ConnectError"),
    ):
        await nobody.ask(nobody.repository, "blobs/none", "*/*", {})


async def test_ask_follows_redirects_without_the_credentials(registry: EmbeddedRegistry) -> None:
    other = EmbeddedRegistry(blobs={"sha256:1": b"text"})
    with serving(other), RemoteRegistry(parse_reference(f"127.0.0.1:{registry.port}/a")) as remote:
        targets = {
            "/blobs/sha256:1": f"http://127.0.0.1:{other.port}/v2/a/blobs/sha256:1",
            "/blobs/here": "/v2/a/manifests/t",
            "/blobs/tls": "https://127.0.0.1:1/",
            "/blobs/loop": "/v2/a/blobs/loop",
        }
        for path, target in targets.items():
            registry.faults[path] = partial(Handler.reply, status=307, headers={"Location": target})
        remote._headers["Authorization"] = "Bearer secret"
        assert (await remote.ask(remote.repository, "blobs/sha256:1", "*/*", {}))[1] == b"text"
        assert other.seen[-1].authorization == ""
        await remote.ask(remote.repository, "blobs/here", "*/*", {})
        assert registry.seen[-1].authorization == "Bearer secret"
        with pytest.raises(FetchError, match="redirected from http to https"):
            await remote.ask(remote.repository, "blobs/tls", "*/*", {})
        with pytest.raises(FetchError, match="answered 307"):
            await remote.ask(remote.repository, "blobs/loop", "*/*", {})
