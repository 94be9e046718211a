import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from metahub_addon.credentials import Credentials
from metahub_addon.registry_client import RegistryClient
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.token_exchange import basic
from metahub_addon.upstream import FetchError, Registry, Repository, Upstream
from metahub_addon.upstream_credentials import CredentialsError
from support.certificates import make_authority
from support.embedded_registry import DOCKER_MANIFEST, EmbeddedRegistry, Handler, serving
from support.fake_timer import FakeTimer
from support.token_server import Handler as IssuerHandler
from support.token_server import TokenServer, issuing

ANN = Credentials(username="ann", password="ann-secret")
GRANTS = {"ann": {"a/*": "pull,push"}, "bob": {"b/*": "pull"}}


@dataclass
class Source:
    """What the hub has."""

    credentials: Credentials | None = ANN
    broken: str = ""

    async def credentials_for(self, registry: Registry) -> Credentials | None:
        if self.broken:
            raise CredentialsError(self.broken)
        return self.credentials


@dataclass
class World:
    """A registry with an image in a/b, its issuer, and a client of it."""

    registry: EmbeddedRegistry
    issuer: TokenServer
    client: RegistryClient
    source: Source
    timer: FakeTimer = field(default_factory=FakeTimer)
    digest: str = ""

    @property
    def place(self) -> Registry:
        port = self.registry.port
        return Registry(scheme="http", host="127.0.0.1", port=port, authority=f"127.0.0.1:{port}")

    def repository(self, name: str = "a/b") -> Repository:
        return Repository(
            registry=self.place, name=name, authorization="Basic client-secret", user_agent="x"
        )

    async def status(self, method: str = "GET", name: str = "a/b", actions: str = "pull") -> int:
        path = f"manifests/{self.digest}"
        answer = await self.client.request(self.repository(name), method, path, actions=actions)
        return answer.status

    @property
    def scopes(self) -> list[tuple[str, ...]]:
        return [asked.scopes for asked in self.issuer.asked]


@pytest.fixture
def issuer() -> Iterator[TokenServer]:
    """Not at the registry's address: as with Docker Hub."""
    users = {"ann": "ann-secret", "bob": "bob-secret"}
    server = TokenServer(users=users, grants=GRANTS, identities={"ann": "ann-identity"})
    with issuing(server, "127.0.0.2") as running:
        yield running


@pytest.fixture
async def world(issuer: TokenServer) -> AsyncIterator[World]:
    registry = EmbeddedRegistry(issuer=issuer)
    digest = registry.put_image("a/b", "x")["digest"]
    source, timer = Source(), FakeTimer()
    client = RegistryClient(TlsSettings(), 10, source, clock=timer)
    with serving(registry):
        yield World(registry, issuer, client, source, timer, digest)
    await client.aclose()


async def test_a_token_is_got_once(world: World) -> None:
    assert [await world.status() for _ in range(3)] == [200] * 3
    assert world.scopes == [("repository:a/b:pull",)]
    assert world.issuer.asked[0].user == "ann"
    assert [bool(seen.authorization) for seen in world.registry.seen] == [False, True, True, True]


async def test_what_the_client_showed_goes_nowhere(world: World) -> None:
    await world.status()
    shown = [seen.authorization for seen in world.registry.seen]
    assert not any("client-secret" in one for one in shown)
    assert {seen.user_agent for seen in world.registry.seen} == {"metahub/0.1.0"}


async def test_it_fetches_for_upstream(world: World) -> None:
    upstream = Upstream(world.client, 10_000, 10)
    found = await upstream.fetch(world.repository(), world.digest, DOCKER_MANIFEST)
    assert (found.digest, found.media_type) == (world.digest, DOCKER_MANIFEST)
    with pytest.raises(FetchError, match="the registry answered 404") as caught:
        await world.client.get(world.repository(), f"sha256:{'0' * 64}", DOCKER_MANIFEST)
    assert caught.value.status == 404


async def test_it_asks_with_parameters(world: World) -> None:
    asked = {"artifactType": "a/b+c"}
    media_type, body = await world.client.ask(
        world.repository(), f"referrers/{world.digest}", "x/y", asked
    )
    assert (media_type.partition(";")[0], json.loads(body)["manifests"]) == (
        "application/vnd.oci.image.index.v1+json",
        [],
    )
    seen = world.registry.seen[-1]
    assert seen.path.endswith("?artifactType=a%2Fb%2Bc")
    assert seen.accept == ("x/y",)


async def test_headers_are_in_lower_case(world: World) -> None:
    path = f"manifests/{world.digest}"
    answer = await world.client.request(world.repository(), "HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["docker-content-digest"] == world.digest
    etag = {"If-None-Match": answer.headers["etag"]}
    again = await world.client.request(world.repository(), "GET", path, headers=etag)
    assert again.status == 304


async def test_a_hundred_at_once_make_one_token_request(world: World) -> None:
    found = await asyncio.gather(*(world.status() for _ in range(100)))
    assert set(found) == {200}
    assert world.scopes == [("repository:a/b:pull",)]


async def test_a_hundred_at_once_get_a_refused_token_anew_once(world: World) -> None:
    await world.status()
    world.issuer.revoke()
    found = await asyncio.gather(*(world.status() for _ in range(100)))
    assert set(found) == {200}
    assert len(world.issuer.asked) == 2


async def test_a_token_is_got_anew_before_its_end(world: World) -> None:
    await world.status()
    world.timer.wait(285)
    await world.status()
    assert len(world.issuer.asked) == 1
    world.timer.wait(6)
    await world.status()
    assert len(world.issuer.asked) == 2
    assert all(seen.authorization for seen in world.registry.seen[1:]), "none was sent without"


async def test_without_an_expiry_a_token_holds_a_minute(world: World) -> None:
    world.issuer.says_expiry = False
    await world.status()
    world.timer.wait(49)
    await world.status()
    assert len(world.issuer.asked) == 1
    world.timer.wait(2)
    await world.status()
    assert len(world.issuer.asked) == 2


@pytest.mark.parametrize("skew", [-3600, 3600])
async def test_an_issuer_whose_clock_is_off(world: World, skew: float) -> None:
    """A token that was issued long ago is used once; one of the future is new."""
    world.issuer.skew = skew
    assert [await world.status() for _ in range(2)] == [200, 200]
    assert len(world.issuer.asked) == (2 if skew < 0 else 1)


async def test_a_token_that_expires_at_the_registry_first(world: World) -> None:
    world.issuer.seconds = 0.05
    world.issuer.says_expiry = False
    await world.status()
    await asyncio.sleep(0.1)
    world.issuer.seconds = 300
    assert await world.status() == 200
    assert len(world.issuer.asked) == 2


@pytest.mark.parametrize("name", ["token", "access_token"])
async def test_either_name_of_the_token(world: World, name: str) -> None:
    world.issuer.field_name = name
    assert await world.status() == 200


async def test_pulls_and_pushes_have_their_own_tokens(world: World) -> None:
    assert await world.status() == 200
    path = "manifests/none"
    pushed = await world.client.request(world.repository(), "DELETE", path, actions="pull,push")
    assert pushed.status == 404, "let in: there is no such manifest"
    assert await world.status() == 200
    assert world.scopes == [("repository:a/b:pull",), ("repository:a/b:pull,push",)]


async def test_the_scope_of_the_challenge_is_honoured(world: World) -> None:
    world.registry.challenge_scope = "repository:a/b:pull,push"
    assert [await world.status() for _ in range(2)] == [200, 200]
    assert world.scopes == [("repository:a/b:pull,push",)]


async def test_a_scope_that_names_another_repository_is_not(world: World) -> None:
    world.registry.challenge_scope = "repository:a/b:pull repository:a/secret:pull"
    assert await world.status() == 200
    assert world.scopes == [("repository:a/b:pull",)]


async def test_a_changed_scope(world: World) -> None:
    """The registry asks for more than at first: the 401 says what."""
    await world.status()
    world.issuer.revoke()
    world.registry.challenge_scope = "repository:a/b:pull,push"
    assert [await world.status() for _ in range(2)] == [200, 200]
    assert world.scopes == [("repository:a/b:pull",), ("repository:a/b:pull,push",)]


async def test_changed_credentials_get_a_new_token(world: World) -> None:
    await world.status()
    world.source.credentials = Credentials(username="bob", password="bob-secret")
    assert await world.status() == 401
    assert [asked.user for asked in world.issuer.asked][:2] == ["ann", "bob"]


async def test_what_upstream_does_not_allow_is_its_401(world: World) -> None:
    world.registry.put_image("c/d", "x")
    answer = await world.client.request(world.repository("c/d"), "GET", "manifests/x")
    assert answer.status == 401
    assert json.loads(answer.body)["errors"][0]["code"] == "UNAUTHORIZED"
    assert len(world.issuer.asked) == 1


async def test_anonymous(world: World) -> None:
    world.source.credentials = None
    world.issuer.grants = {"": {"a/*": "pull"}}
    assert await world.status() == 200
    assert [(asked.user, asked.authorization) for asked in world.issuer.asked] == [("", "")]


@pytest.mark.parametrize("takes_post", [True, False])
async def test_identity_token(world: World, takes_post: bool) -> None:
    world.source.credentials = Credentials(identity_token="ann-identity")
    world.issuer.takes_post = takes_post
    world.issuer.field_name = "access_token"
    assert await world.status() == 200
    used = [(asked.method, asked.status, asked.user) for asked in world.issuer.asked]
    expected = [("POST", 200, "ann")] if takes_post else [("POST", 405, "ann"), ("GET", 200, "ann")]
    assert used == expected
    assert not any("ann-identity" in seen.authorization for seen in world.registry.seen)


async def test_a_wrong_login_at_the_token_server(world: World) -> None:
    world.source.credentials = Credentials(username="ann", password="wrong-secret")
    with pytest.raises(FetchError, match=r"the token server 127\.0\.0\.2 answered 401") as caught:
        await world.status()
    assert caught.value.status == 401
    assert "wrong-secret" not in str(caught.value)


async def test_broken_credentials(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the file; what clients are told does not."""
    await world.status()
    world.source.broken = "/etc/pw: is empty\x1b"
    with pytest.raises(FetchError, match="the hub's own credentials") as caught:
        await world.status()
    with pytest.raises(FetchError, match="the hub's own credentials"):
        await world.client.authorization(world.place, "a/b")
    assert "/etc/pw" not in str(caught.value)
    assert caplog.messages == [rf"{world.place.authority}: /etc/pw: is empty\x1b"] * 2


def log_all(caplog: pytest.LogCaptureFixture) -> None:
    """But for the two that addon.py keeps quiet: they log what was answered."""
    caplog.set_level(logging.DEBUG)
    for noisy in ("httpx", "httpcore"):
        caplog.set_level(logging.WARNING, noisy)


def answering(body: bytes, status: int = 200) -> Callable[[IssuerHandler], None]:
    return lambda handler: handler.reply(status, body)


def hanging_up(handler: IssuerHandler) -> None:
    handler.close_connection = True


def echoing(handler: IssuerHandler) -> None:
    """Not even the worst of servers makes us show what it was sent."""
    shown = handler.headers["Authorization"]
    handler.wfile.write(f"{shown}\r\n\r\n".encode())
    handler.close_connection = True


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (answering(b"secret"), "not JSON"),
        (answering(b"{}"), "no usable token"),
        (answering(b'{"token": "se cret"}'), "no usable token"),
        (answering(b'{"token": "' + b"x" * 70_000 + b'"}'), "larger than 65536 bytes"),
        (answering(b"secret", 500), "answered 500"),
        (answering(b"secret", 404), "answered 404"),
        (hanging_up, "RemoteProtocolError"),
        (echoing, "RemoteProtocolError"),
    ],
)
async def test_token_servers_that_fail(
    world: World,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[[IssuerHandler], None],
    message: str,
) -> None:
    log_all(caplog)
    world.issuer.fault = fault
    with pytest.raises(FetchError, match=message) as caught:
        await world.status()
    assert caught.value.status == 0
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert "secret" not in text
        assert basic(ANN) not in text
    world.issuer.fault = None
    assert await world.status() == 200, "a failure is not kept"


async def test_nothing_secret_is_logged_or_shown(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    log_all(caplog)
    authorization = await world.client.authorization(world.place, "a/b")
    await world.status()
    world.source.credentials = Credentials(identity_token="ann-identity")
    await world.status()
    token = authorization.removeprefix("Bearer ")
    assert len(token) > 100
    for secret in (token, basic(ANN), "ann-secret", "ann-identity", "client-secret"):
        assert secret not in caplog.text


# Requests that others carry


async def test_an_authorization_for_others(world: World) -> None:
    found = await asyncio.gather(
        *(world.client.authorization(world.place, "a/b") for _ in range(100))
    )
    (one,) = set(found)
    assert world.issuer.allows(one, "a/b", "pull")
    assert not world.issuer.allows(one, "a/b", "pull,push")
    assert world.registry.asked("GET", "/v2/") == ["/v2/"], "probed once"
    push = await world.client.authorization(world.place, "a/b", "pull,push")
    assert world.issuer.allows(push, "a/b", "pull,push")
    assert len(world.issuer.asked) == 2
    assert await world.status() == 200
    assert len(world.issuer.asked) == 2, "the client's own requests use it, too"


async def test_a_refused_authorization_is_another_next_time(world: World) -> None:
    first = await world.client.authorization(world.place, "a/b")
    assert world.client.refused(world.place, "a/b", "pull", first)
    second = await world.client.authorization(world.place, "a/b")
    assert second != first
    # Who was late with the first gets the second.
    assert world.client.refused(world.place, "a/b", "pull", first)
    assert await world.client.authorization(world.place, "a/b") == second
    assert not world.client.refused(world.place, "a/b", "pull", "")


async def test_a_refusal_teaches(world: World) -> None:
    """A registry that lets anybody see /v2/ and asks for a login later."""
    world.registry.faults["GET /v2/ "] = lambda handler: handler.reply(200)
    world.registry.faults["/v2/"] = lambda handler: handler.reply(200)
    assert await world.client.authorization(world.place, "a/b") == ""
    world.registry.faults.clear()
    challenge = f'Bearer realm="{world.issuer.realm}",service="{world.issuer.service}"'
    assert world.client.refused(world.place, "a/b", "pull", "", challenge)
    found = await world.client.authorization(world.place, "a/b")
    assert world.issuer.allows(found, "a/b", "pull")
    with pytest.raises(FetchError, match="without TLS"):
        world.client.refused(world.place, "a/b", "pull", "", 'Bearer realm="ftp://x.test/"')


@asynccontextmanager
async def basic_registry(challenge: str = 'Basic realm="x"') -> AsyncIterator[World]:
    def ask(handler: Handler) -> None:
        if handler.headers.get("Authorization") == basic(ANN):
            return handler.server.registry.serve(handler, b"")
        return handler.reply(401, b"no", {"WWW-Authenticate": challenge})

    registry, source = EmbeddedRegistry(faults={"": ask}), Source()
    digest = registry.put_image("a/b", "x")["digest"]
    client = RegistryClient(TlsSettings(), 10, source)
    with serving(registry):
        yield World(registry, TokenServer(), client, source, digest=digest)
    await client.aclose()


async def test_basic() -> None:
    async with basic_registry() as world:
        assert [await world.status(), await world.status(name="a/b")] == [200, 200]
        assert len(world.registry.seen) == 3
        assert await world.client.authorization(world.place, "other") == basic(ANN)
        assert not world.client.refused(world.place, "a/b", "pull", basic(ANN))


async def test_challenges_in_two_headers(world: World) -> None:
    def ask(handler: Handler) -> None:
        if handler.headers.get("Authorization"):
            return handler.server.registry.serve(handler, b"")
        handler.send_response(401)
        handler.send_header("WWW-Authenticate", "Negotiate")
        handler.send_header(
            "WWW-Authenticate", f'Bearer realm="{world.issuer.realm}",service="registry.test"'
        )
        handler.send_header("Content-Length", "0")
        return handler.end_headers()

    world.registry.faults[""] = ask
    assert await world.status() == 200


@pytest.mark.parametrize("credentials", [None, Credentials(username="ann", password="wrong")])
async def test_basic_that_is_refused(credentials: Credentials | None) -> None:
    async with basic_registry() as world:
        world.source.credentials = credentials
        assert await world.status() == 401
        tries = len(world.registry.seen)
        assert await world.status() == 401
        assert len(world.registry.seen) == tries + 1, "the same is not tried twice"


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer x", "\x07", '"'])
async def test_a_login_that_nobody_knows(challenge: str) -> None:
    async with basic_registry(challenge) as world:
        assert await world.status() == 401
        assert await world.client.authorization(world.place, "a/b") == ""


async def test_a_registry_for_everybody() -> None:
    registry = EmbeddedRegistry()
    digest = registry.put_image("a/b", "x")["digest"]
    client = RegistryClient(TlsSettings(), 10, Source())
    with serving(registry):
        world = World(registry, TokenServer(), client, Source(), digest=digest)
        assert await client.authorization(world.place, "a/b") == ""
        assert await world.status() == 200
        answer = await client.request(world.repository(""), "GET", "")
        assert (answer.status, answer.body) == (200, b"{}")
    await client.aclose()
    assert all(not seen.authorization for seen in registry.seen)


# Where a registry may send us


@pytest.mark.parametrize(
    "realm", ["http://auth.test/t", "https://u:ann-secret@auth.test/t", "file:///etc/passwd"]
)
async def test_realms_that_are_not_asked(realm: str) -> None:
    """With TLS the registry's own place would do, too; without, more would."""
    async with basic_registry(f'Bearer realm="{realm}"') as world:
        https = replace(world.place, scheme="https")
        with pytest.raises(FetchError) as caught:
            world.client.refused(https, "a/b", "pull", "", f'Bearer realm="{realm}"')
        assert "ann-secret" not in str(caught.value)


async def test_a_registry_with_tls(tmp_path: Path, issuer: TokenServer) -> None:
    """And a token server with TLS at another address; without it none is asked."""
    ca, certificate, key = make_authority(tmp_path, "127.0.0.3", "r.test")
    tls = (str(certificate), str(key))
    client = RegistryClient(TlsSettings(trusted_ca=str(ca)), 10, Source())
    registry = EmbeddedRegistry()
    digest = registry.put_image("a/b", "x")["digest"]
    with (
        issuing(TokenServer(users=issuer.users), "127.0.0.3", tls=tls) as safe,
        serving(registry, tls),
    ):
        place = Registry(
            scheme="https",
            host="127.0.0.1",
            port=registry.port,
            authority="r.test",
            sni="r.test",
            verified=True,
        )
        repository = Repository(registry=place, name="a/b")
        registry.issuer = safe
        answer = await client.request(repository, "GET", f"manifests/{digest}")
        assert answer.status == 200
        assert [asked.user for asked in safe.asked] == ["ann"]
        registry.issuer = issuer
        with pytest.raises(FetchError, match=r"a token of 127\.0\.0\.2 without TLS"):
            await client.request(repository, "GET", f"manifests/{digest}")
    await client.aclose()
    assert not issuer.asked


async def test_layers_elsewhere_get_no_token(world: World) -> None:
    with serving(EmbeddedRegistry(faults={"": lambda handler: handler.reply(200, b"x")})) as cdn:

        def moved(handler: Handler) -> None:
            if handler.headers.get("Authorization"):
                return handler.reply(307, headers={"Location": f"http://127.0.0.1:{cdn.port}/x"})
            return world.registry.serve(handler, b"")

        world.registry.faults["/blobs/"] = moved
        answer = await world.client.request(world.repository(), "GET", "blobs/sha256:x")
    assert (answer.status, answer.body) == (200, b"x")
    assert [seen.authorization for seen in cdn.seen] == [""]


async def test_a_registry_that_is_gone(world: World) -> None:
    gone = replace(world.place, port=1)
    with pytest.raises(FetchError, match="ConnectError"):
        await world.client.request(Repository(registry=gone, name="a"), "GET", "manifests/x")
    with pytest.raises(FetchError, match="ConnectError"):
        await world.client.authorization(gone, "a")


async def test_where_a_registry_redirects_to_gets_no_login(world: World) -> None:
    """Storage that asks for one would else be asked for a token, with the registry's password."""
    storage, thief = EmbeddedRegistry(), TokenServer(users={"ann": "ann-secret"})
    await world.status()
    with serving(storage), issuing(thief):
        challenge = f'Bearer realm="{thief.realm}",service="{thief.service}"'
        storage.faults["/storage"] = lambda handler: handler.reply(
            401, headers={"WWW-Authenticate": challenge}
        )
        location = f"http://localhost:{storage.port}/storage"
        world.registry.faults["/manifests/"] = lambda handler: handler.reply(
            307, headers={"Location": location}
        )
        for _ in range(2):
            with pytest.raises(FetchError, match="a server that wants a login of its own"):
                await world.status()
        world.registry.faults.clear()
        assert await world.status() == 200
    assert thief.asked == []
    assert {seen.authorization for seen in storage.seen} == {""}
    assert len(world.issuer.asked) == 1
