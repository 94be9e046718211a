import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from metahub_addon.credentials import Credentials
from metahub_addon.registry_login import Place, RegistryLogin
from metahub_addon.token_exchange import TokenRequest, basic
from metahub_addon.upstream import FetchError, Registry
from support.fake_timer import FakeTimer

REGISTRY = Registry(scheme="https", host="r.test", port=443, authority="r.test")
OTHER = Registry(scheme="https", host="o.test", port=443, authority="o.test")
REALM = "https://auth.test/t"
BEARER = f'Bearer realm="{REALM}",service="s"'
PULL = Place(REGISTRY, "a/b")
PUSH = Place(REGISTRY, "a/b", "pull,push")
ANN = Credentials(username="ann", password="pw")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Servers:
    """A registry, its token server, and the credentials that the hub has."""

    challenge: str = ""
    credentials: Credentials | None = None
    probed: Answer | None = None
    refusal: Mapping[str, int] = field(default_factory=dict)
    probes: list[str] = field(default_factory=list)
    asked: list[TokenRequest] = field(default_factory=list)
    timer: FakeTimer = field(default_factory=FakeTimer)

    def login(self) -> RegistryLogin:
        return RegistryLogin(self, self.probe, self.ask_token, self.timer)

    async def credentials_for(self, registry: Registry) -> Credentials | None:
        return self.credentials

    async def probe(self, registry: Registry) -> Answer:
        self.probes.append(registry.authority)
        await asyncio.sleep(0)
        headers = {"www-authenticate": self.challenge} if self.challenge else {}
        return self.probed or Answer(401 if self.challenge else 200, headers)

    async def ask_token(self, registry: Registry, asked: TokenRequest) -> Answer:
        self.asked.append(asked)
        token = {"token": f"t{len(self.asked)}", "expires_in": 100}
        await asyncio.sleep(0)
        status = self.refusal.get("GET" if asked.form is None else "POST", 200)
        return Answer(status, {}, json.dumps(token).encode())


async def test_nothing_is_known_at_first() -> None:
    servers = Servers(BEARER)
    assert await servers.login().known(PULL) == ""
    assert servers.probes == []


async def test_a_registry_is_asked_what_it_wants_once() -> None:
    servers = Servers(BEARER)
    login = servers.login()
    places = [PULL, Place(REGISTRY, "c"), PULL] * 10
    found = await asyncio.gather(*(login.sure(place) for place in places))
    assert set(found) == {"Bearer t1", "Bearer t2"}
    assert await login.known(PULL) == "Bearer t1"
    assert servers.probes == ["r.test"]
    assert [asked.url.partition("scope=")[2] for asked in servers.asked] == [
        "repository%3Aa%2Fb%3Apull",
        "repository%3Ac%3Apull",
    ]


async def test_a_registry_without_logins() -> None:
    servers = Servers(credentials=ANN)
    login = servers.login()
    assert [await login.sure(PULL), await login.sure(PULL), await login.known(PULL)] == [""] * 3
    assert servers.probes == ["r.test"]


@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_an_answer_that_does_not_say_is_not_kept(status: int) -> None:
    servers = Servers(BEARER, probed=Answer(status))
    login = servers.login()
    assert await login.sure(PULL) == ""
    servers.probed = None
    assert await login.sure(PULL) == "Bearer t1"


async def test_a_refusal_without_a_way_in_is_kept() -> None:
    servers = Servers("Negotiate", ANN)
    login = servers.login()
    assert [await login.sure(PULL), await login.sure(PULL)] == ["", ""]
    assert servers.probes == ["r.test"]


@pytest.mark.parametrize("credentials", [ANN, None])
async def test_basic(credentials: Credentials | None) -> None:
    login = Servers('Basic realm="x"', credentials).login()
    assert await login.sure(PULL) == basic(credentials)
    assert not login.forget(PULL, basic(credentials)), "another try would show the same"


async def test_what_is_known_is_forgotten_in_time() -> None:
    servers = Servers(BEARER)
    login = servers.login()
    await login.sure(PULL)
    servers.challenge = 'Basic realm="x"'
    servers.timer.wait(599)
    assert await login.sure(PULL) == "Bearer t2"
    servers.timer.wait(2)
    assert await login.sure(PULL) == ""
    assert servers.probes == ["r.test", "r.test"]


async def test_actions_registries_and_credentials_have_their_own_tokens() -> None:
    servers = Servers(BEARER)
    login = servers.login()
    assert await login.sure(PULL) == "Bearer t1"
    assert await login.sure(PUSH) == "Bearer t2"
    servers.credentials = ANN
    assert await login.sure(PULL) == "Bearer t3"
    assert [asked.authorization for asked in servers.asked] == ["", "", basic(ANN)]
    assert await login.known(Place(OTHER, "a/b")) == ""


async def test_a_challenge_teaches() -> None:
    servers = Servers()
    login = servers.login()
    scoped = f'{BEARER},scope="repository:a/b:pull,push"'
    assert login.learn(PULL, scoped)
    assert not login.learn(PULL, scoped), "nothing new"
    assert not login.learn(PULL, "Negotiate")
    assert await login.known(PULL) == "Bearer t1"
    assert "pull%2Cpush" in servers.asked[0].url
    # Of the others it is known where to ask, not for what.
    assert await login.known(Place(REGISTRY, "c")) == "Bearer t2"
    assert servers.asked[1].url.endswith("scope=repository%3Ac%3Apull")
    # Another scope of the one stays with that one.
    assert login.learn(PULL, BEARER)
    assert await login.known(PULL) == "Bearer t3"
    assert await login.known(Place(REGISTRY, "c")) == "Bearer t2"


async def test_a_challenge_teaches_of_a_registry_that_lets_anybody_in_at_first() -> None:
    servers = Servers()
    login = servers.login()
    assert await login.sure(PULL) == ""
    assert login.learn(PUSH, BEARER)
    assert await login.sure(PULL) == "Bearer t1"


def test_a_challenge_that_leads_to_a_bad_place_is_an_error() -> None:
    with pytest.raises(FetchError, match="which is local"):
        Servers().login().learn(PULL, 'Bearer realm="https://127.0.0.1/t"')


async def test_a_refused_token_is_got_anew_once_for_all() -> None:
    servers = Servers(BEARER)
    login = servers.login()
    assert await login.sure(PULL) == "Bearer t1"
    for _ in range(3):
        assert login.forget(PULL, "Bearer t1")
        assert await login.known(PULL) == "Bearer t2"
    assert len(servers.asked) == 2


def test_what_was_never_sent_can_be_refused() -> None:
    login = Servers().login()
    assert login.forget(PULL, "Bearer unknown"), "the right one may be had"
    assert not login.forget(PULL, "")


IDENTITY = Credentials(username="ann", identity_token="id")


@pytest.mark.parametrize(
    ("refusal", "authorizations"),
    [
        ({}, [""]),
        ({"POST": 404}, ["", basic(Credentials(username="ann", password="id"))]),
        ({"POST": 405}, ["", basic(Credentials(username="ann", password="id"))]),
    ],
)
async def test_identity_tokens(refusal: Mapping[str, int], authorizations: list[str]) -> None:
    servers = Servers(BEARER, IDENTITY, refusal=refusal)
    assert await servers.login().sure(PULL) == f"Bearer t{len(authorizations)}"
    assert [asked.authorization for asked in servers.asked] == authorizations
    assert servers.asked[0].form


@pytest.mark.parametrize(
    ("credentials", "refusal", "status"),
    [
        (ANN, {"GET": 401}, 401),
        (None, {"GET": 403}, 403),
        (None, {"GET": 429}, 429),
        (None, {"GET": 404}, 0),
        (None, {"GET": 307}, 0),
        (None, {"GET": 500}, 0),
        (IDENTITY, {"POST": 401}, 401),
        (IDENTITY, {"POST": 405, "GET": 401}, 401),
        (IDENTITY, {"POST": 404, "GET": 404}, 0),
    ],
)
async def test_a_token_server_that_refuses(
    credentials: Credentials | None, refusal: Mapping[str, int], status: int
) -> None:
    """A 404 of it does not say that the image is not there."""
    login = Servers(BEARER, credentials, refusal=refusal).login()
    with pytest.raises(FetchError, match=r"the token server auth\.test answered") as caught:
        await login.sure(PULL)
    assert caught.value.status == status
    assert "pw" not in str(caught.value)
