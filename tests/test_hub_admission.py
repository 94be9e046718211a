import base64
import json
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from metahub_addon.answer import Answer
from metahub_addon.hub_admission import Client, Refused, admit, authorise
from metahub_addon.hub_config import Account, NetworkRule, UpstreamRule
from metahub_addon.hub_routes import Route, find_route
from metahub_addon.login_throttle import FREE_TRIES
from support.fake_registry_client import REPOSITORY
from support.hub import PASSWORD, TYPES, FakeHub, account, config

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"
CONFIG = config(
    account(),
    account("gpu", types=("type2",), own_type="type2"),
    account("guest", types=("type1",)),
    networks=(
        NetworkRule(network=ip_network("203.0.113.0/25"), type="type1", account="guest"),
        NetworkRule(network=ip_network("203.0.113.128/25"), type="type2", account="guest"),
        NetworkRule(network=ip_network("100.64.0.0/10"), type="type1"),
    ),
)


@pytest.fixture
def fake() -> Iterator[FakeHub]:
    made = FakeHub(CONFIG)
    yield made
    made.passwords.close()


def basic(user: str, password: str = PASSWORD) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize(
    ("authorization", "address", "user", "machine"),
    [
        (basic("qnib-type1"), HOME, "qnib", "type1"),
        (basic("qnib-type2"), "100.64.0.1", "qnib", "type2"),
        (basic("gpu"), HOME, "gpu", "type2"),
        (basic("qnib"), "100.64.0.1", "qnib", "type1"),
        (basic("qnib"), "203.0.113.1", "qnib", "type1"),
        ("", "203.0.113.1", "guest", "type1"),
    ],
)
async def test_who_comes_in(
    fake: FakeHub, authorization: str, address: str, user: str, machine: str
) -> None:
    client = await admit(fake.hub, authorization, address, None)
    assert client == Client(account=CONFIG.accounts[user], machine=TYPES[machine])


@pytest.mark.parametrize(
    ("user", "address", "why"),
    [
        ("qnib", HOME, "log in as one of: qnib-type1, qnib-type2"),
        ("guest", "203.0.113.200", "guest has not the machine type type2"),
    ],
)
async def test_an_account_without_a_type_comes_in_without_one(
    fake: FakeHub, user: str, address: str, why: str
) -> None:
    client = await admit(fake.hub, basic(user), address, None)
    assert (client.account, client.machine) == (CONFIG.accounts[user], None)
    assert why in client.why


async def refused(
    fake: FakeHub, authorization: str, address: str = HOME, head: bool = False
) -> Answer:
    with pytest.raises(Refused) as caught:
        await admit(fake.hub, authorization, address, None, head)
    assert str(caught.value) == str(caught.value.args[0]) == str(caught.value.answer.status)
    return caught.value.answer


@pytest.mark.parametrize(
    ("authorization", "address", "status", "says"),
    [
        ("", HOME, 401, "log in"),
        ("", "", 401, "log in"),
        ("", "100.64.0.1", 401, "log in"),  # a type without an account
        ("", "203.0.113.200", 403, "guest has not the machine type type2"),
        ("Bearer t0ken", HOME, 401, "a login by user and password (Basic) is wanted"),
        ("Basic !", "203.0.113.1", 401, "a login by user and password (Basic) is wanted"),
        (basic("qnib", "wrong"), HOME, 401, "wrong user or password"),
        # A wrong login is no way to what the address alone would get.
        (basic("nobody"), "203.0.113.1", 401, "wrong user or password"),
        (basic("qnib-type9"), HOME, 403, "qnib has no machine type or features 'type9'"),
        (basic("guest-type2"), "203.0.113.1", 403, "guest has no machine type or features"),
    ],
)
async def test_who_does_not(
    fake: FakeHub, authorization: str, address: str, status: int, says: str
) -> None:
    answer = await refused(fake, authorization, address)
    assert answer.status == status
    (error,) = json.loads(answer.body)["errors"]
    assert says in error["message"]
    assert error["code"] == {401: "UNAUTHORIZED", 403: "DENIED"}[status]
    assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert PASSWORD not in answer.body.decode()
    head = await refused(fake, authorization, address, head=True)
    assert (head.status, head.body, head.headers) == (status, b"", answer.headers)


async def test_the_challenge_is_the_hubs_own(fake: FakeHub) -> None:
    answer = await refused(fake, "")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="MetaHub", charset="UTF-8"'


async def test_who_guesses_waits(fake: FakeHub) -> None:
    for at in range(FREE_TRIES):
        await refused(fake, basic("qnib", f"wrong {at}"))
    answer = await refused(fake, basic("qnib"))
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (
        429,
        "TOOMANYREQUESTS",
    )
    assert "WWW-Authenticate" not in answer.headers
    fake.timer.wait(int(answer.headers["Retry-After"]))
    assert (await admit(fake.hub, basic("qnib"), HOME, None)).account.user == "qnib"


def route(method: str, target: str) -> Route:
    rules = (
        UpstreamRule(name="q.test", registry=REPOSITORY.registry, prefix="q"),
        UpstreamRule(name="r.test", registry=REPOSITORY.registry),
    )
    found = find_route(method, target, "hub.test", rules)
    assert isinstance(found, Route)
    return found


NARROW = account("narrow", pull=("qnib/*", "q/lib/*"), push=("qnib/own",))
READER = account("reader", pull=("qnib/*",))


@pytest.mark.parametrize(
    ("who", "method", "target", "says"),
    [
        (NARROW, "GET", "/v2/qnib/a/manifests/latest", ""),
        (NARROW, "HEAD", "/v2/qnib/a/b/blobs/sha256:1", ""),
        (NARROW, "GET", "/v2/q/lib/a/tags/list", ""),
        (NARROW, "PUT", "/v2/qnib/own/manifests/latest", ""),
        (NARROW, "POST", "/v2/qnib/own/blobs/uploads/", ""),
        (NARROW, "GET", "/v2/lib/a/tags/list", "narrow may not pull lib/a"),
        (NARROW, "GET", "/v2/lib/a/tags/list?ns=q", ""),
        (NARROW, "GET", "/v2/q/qnib/a/tags/list", "narrow may not pull q/qnib/a"),
        (NARROW, "GET", "/v2/secret/manifests/qnib", "narrow may not pull secret"),
        (NARROW, "PUT", "/v2/qnib/a/manifests/latest", "narrow may not push qnib/a"),
        (NARROW, "GET", "/v2/qnib/a/blobs/uploads/1", "narrow may not push qnib/a"),
        (READER, "PATCH", "/v2/qnib/a/blobs/uploads/1", ": this hub takes no pushes from it"),
    ],
)
def test_what_an_account_may(who: Account, method: str, target: str, says: str) -> None:
    client = Client(account=who, machine=None)
    if not says:
        authorise(client, route(method, target))
        return
    with pytest.raises(Refused) as caught:
        authorise(client, route(method, target))
    answer = caught.value.answer
    assert answer.status == 403
    (error,) = json.loads(answer.body)["errors"]
    assert error["code"] == "DENIED"
    assert says in error["message"]
    with pytest.raises(Refused) as caught:
        authorise(client, route(method, target), head=True)
    assert caught.value.answer.body == b""
