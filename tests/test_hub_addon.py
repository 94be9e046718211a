"""What must never happen; integration/test_hub.py has the hooks in a real proxy."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mitmproxy import exceptions, http
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.addons.upstream_auth import UpstreamAuth
from mitmproxy.flow import Error
from mitmproxy.test import taddons

from metahub_addon import hub_addon
from metahub_addon.addon import Metahub
from metahub_addon.flow_repository import HUB, MIRRORED, NOT_OURS
from metahub_addon.http_fetcher import HttpFetcher
from metahub_addon.hub_addon import HubAddon
from metahub_addon.hub_registry import Asked, Served
from metahub_addon.hub_routes import TYPES_PATH
from metahub_addon.interception_addon import Interceptor
from metahub_addon.layers_addon import Layers
from metahub_addon.media_types import DOCKER_LIST
from metahub_addon.oci_error import oci_error
from metahub_addon.registry_client import RegistryClient
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import FetchError, Registry
from support.descriptors import digest
from support.flows import ProxyOptions, answer, request_flow
from support.hub import PASSWORD, account

HUB_URL = "https://hub.test"
TARGET = "reverse:https://r.test"
MANIFEST = "/v2/a/b/manifests/latest"
LONG = {"Content_Length": str(2**30)}


class TlsOptions(TlsConfig):
    """Declares mitmproxy's options for TLS, and makes no CA."""

    def configure(self, updated: set[str]) -> None:
        pass


@dataclass
class Running:
    """The addons of a hub in mitmproxy's context."""

    folder: Path
    signalled: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metahub = Metahub()
        self.counts: Counter[str] = self.metahub.counts
        self.addon = HubAddon(self.counts, lambda: self.metahub.untouched)
        self.interceptor = Interceptor(self.counts, self.signal)
        fetcher = HttpFetcher(TlsSettings(), 1)
        self.layers = Layers(self.counts, self.interceptor, lambda: fetcher)
        self.others = [self.interceptor, self.metahub, self.layers]
        self.context = taddons.context(
            ProxyOptions(), TlsOptions(), UpstreamAuth(), self.addon, *self.others
        )
        self.file = self.folder / "types.yaml"
        types = [{"name": "type1", "features": ["cpu:zen3"]}, {"name": "type2"}]
        users = [
            {"user": "qnib", "password": account().password, "pull": ["a/*"]},
            {"user": "gpu", "password": account().password, "types": ["type2"], "type": "type2"},
        ]
        self.file.write_text(json.dumps({"types": types, "accounts": users}))

    def signal(self, address: str, briefly: bool = False) -> None:
        self.signalled.append(address)

    def configure(self, *modes: str) -> None:
        self.context.configure(self.addon, mode=list(modes), metahub_machine_types=str(self.file))

    async def ask(
        self, target: str, method: str = "GET", user: str = "qnib-type1", **headers: str
    ) -> http.HTTPFlow:
        """A request by TLS, as the hub leaves it."""
        login = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
        named = {"Authorization": f"Basic {login}"} if user else {}
        flow = request_flow(HUB_URL + target, method, mode=TARGET, **{**named, **headers})
        flow.client_conn.tls = flow.live = True
        await self.addon.requestheaders(flow)
        return flow


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path)
    with made.context:
        made.configure(TARGET)
        yield made
        await made.addon.done()


def errors_of(flow: http.HTTPFlow) -> tuple[int, list[str]]:
    assert flow.response
    found = json.loads(flow.response.raw_content or b"")
    return flow.response.status_code, [error["code"] for error in found["errors"]]


def is_killed(flow: http.HTTPFlow) -> bool:
    return flow.error is not None and flow.error.msg == Error.KILLED_MESSAGE


# --- options


@pytest.mark.parametrize(
    "modes",
    [
        ["regular"],
        ["transparent"],
        ["socks5"],
        ["upstream:http://proxy.test:3128"],
        ["reverse:tcp://r.test:443"],
        [TARGET, "regular@8081"],
        ["regular@8081", TARGET],
        [TARGET, "reverse:https://other.test@8081"],
        [TARGET, "reverse:http://r.test@8081"],
    ],
)
async def test_any_other_mode_is_a_way_past_the_login(hub: Running, modes: Sequence[str]) -> None:
    with pytest.raises(exceptions.OptionsError, match="a hub wants --mode reverse:https"):
        hub.configure(*modes)
    assert errors_of(await hub.ask(MANIFEST, user="")) == (401, ["UNAUTHORIZED"])


@pytest.mark.parametrize("modes", [[TARGET], [TARGET, "reverse:https://r.test@8081"]])
async def test_one_registry_at_any_number_of_ports(hub: Running, modes: Sequence[str]) -> None:
    hub.configure(*modes)
    assert hub.addon.hub
    (rule,) = hub.addon.hub.upstreams
    assert rule.registry.authority == "r.test"


async def test_the_client_of_former_options_is_closed(
    hub: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a thread and connections. What is under way with it has its time to end."""
    closed = asyncio.Queue[RegistryClient]()

    async def aclose(client: RegistryClient) -> None:
        closed.put_nowait(client)

    monkeypatch.setattr(RegistryClient, "aclose", aclose)
    hub.context.configure(hub.addon, metahub_timeout=40)
    await asyncio.sleep(0)
    assert closed.empty()
    monkeypatch.setattr(hub_addon, "_FORMER_SECONDS", 0)
    former = hub.addon._client
    hub.context.configure(hub.addon, metahub_timeout=50)
    assert await asyncio.wait_for(closed.get(), 10) is former
    assert len(hub.addon._former) == 1


async def test_the_clients_of_former_options_are_closed_at_the_end(
    hub: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[RegistryClient] = []

    async def aclose(client: RegistryClient) -> None:
        closed.append(client)

    monkeypatch.setattr(RegistryClient, "aclose", aclose)
    clients = [hub.addon._client]
    hub.context.configure(hub.addon, metahub_timeout=40)
    clients.append(hub.addon._client)
    await hub.addon.done()
    assert closed == clients


async def test_a_broken_file_is_named(hub: Running) -> None:
    hub.file = hub.folder / "broken.yaml"
    hub.file.write_text("types: 1")
    with pytest.raises(exceptions.OptionsError, match=r"metahub_machine_types: .*broken\.yaml"):
        hub.configure(TARGET)


async def test_without_the_option_it_is_no_hub(hub: Running) -> None:
    hub.context.configure(hub.addon, metahub_machine_types="")
    flow = await hub.ask(MANIFEST)
    assert (flow.response, HUB in flow.metadata) == (None, False)


# --- all that comes in is judged


@pytest.mark.parametrize(
    ("method", "target", "user", "status", "code"),
    [
        ("GET", MANIFEST, "", 401, "UNAUTHORIZED"),
        ("GET", "/v2/", "", 401, "UNAUTHORIZED"),
        ("GET", "/", "", 401, "UNAUTHORIZED"),
        ("OPTIONS", "*", "", 401, "UNAUTHORIZED"),
        ("GET", "/", "qnib-type1", 404, "UNSUPPORTED"),
        ("GET", "/v2/_catalog", "qnib-type1", 404, "UNSUPPORTED"),
        ("GET", "/token", "qnib-type1", 404, "UNSUPPORTED"),
        ("TRACE", MANIFEST, "qnib-type1", 405, "UNSUPPORTED"),
        ("GET", MANIFEST, "qnib", 403, "DENIED"),
        ("GET", MANIFEST, "qnib-type9", 403, "DENIED"),
        ("GET", "/v2/secret/manifests/latest", "qnib-type1", 403, "DENIED"),
        ("GET", f"/v2/secret/blobs/{digest(1)}", "qnib-type1", 403, "DENIED"),
        ("PUT", MANIFEST, "qnib-type1", 403, "DENIED"),
        ("POST", "/v2/a/b/blobs/uploads/", "qnib-type1", 403, "DENIED"),
        ("GET", "/v2/a/b/blobs/%2e%2e/%2e%2e/secret/x", "qnib-type1", 404, "UNSUPPORTED"),
    ],
)
async def test_refused(
    hub: Running, method: str, target: str, user: str, status: int, code: str
) -> None:
    flow = await hub.ask(target, method, user)
    assert errors_of(flow) == (status, [code])
    assert flow.request.stream is False
    assert not is_killed(flow)
    assert hub.counts == {f"hub refused {status}": 1}


async def test_a_login_in_the_clear_is_refused_before_it_is_judged(hub: Running) -> None:
    flow = request_flow(f"http://hub.test{MANIFEST}", mode=TARGET, peer="198.51.100.7")
    flow.client_conn.tls = False
    await hub.addon.requestheaders(flow)
    assert errors_of(flow) == (403, ["DENIED"])
    assert "WWW-Authenticate" not in (flow.response.headers if flow.response else {})


@pytest.mark.parametrize("target", ["/v2/", "/v2", "/v2/?x"])
async def test_who_is_let_in(hub: Running, target: str) -> None:
    flow = await hub.ask(target)
    assert flow.response
    assert (flow.response.status_code, flow.response.raw_content) == (200, b"{}")
    assert hub.counts == {}


async def test_the_machine_types_of_an_account(hub: Running) -> None:
    for user, logins in (("qnib", ["qnib-type1", "qnib-type2"]), ("gpu", ["gpu"])):
        flow = await hub.ask(TYPES_PATH, user=user)
        assert flow.response
        told = json.loads(flow.response.raw_content or b"")
        assert told["account"] == user
        assert [one["login"] for one in told["types"]] == logins
    assert told["types"][0]["machine_type"] == "type2"


@pytest.mark.parametrize("user", ["", "qnib-type1"])
async def test_a_long_body_is_not_read_to_say_no(hub: Running, user: str) -> None:
    assert is_killed(await hub.ask(MANIFEST, "PUT", user, **LONG))
    assert is_killed(await hub.ask(MANIFEST, "PUT", user, Transfer_Encoding="chunked"))
    assert not is_killed(await hub.ask(MANIFEST, "PUT", user, Content_Length="9"))


@pytest.mark.parametrize("long", [False, True])
async def test_what_was_not_foreseen_is_refused(
    hub: Running, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    async def broken(asked: Asked) -> Served:
        raise ZeroDivisionError

    assert hub.addon.hub
    monkeypatch.setattr(hub.addon.hub.registry, "manifest", broken)
    flow = request_flow(HUB_URL + MANIFEST, mode=TARGET, **(LONG if long else {}))
    flow.request.headers["Authorization"] = (await hub.ask("/v2/")).request.headers["Authorization"]
    flow.client_conn.tls = flow.live = True
    with pytest.raises(ZeroDivisionError):
        await hub.addon.requestheaders(flow)
    assert errors_of(flow) == (500, ["UNKNOWN"])
    assert hub.counts == {"hub refused 500": 1}
    assert flow.request.stream is False
    assert is_killed(flow) is long


async def test_a_registry_that_cannot_be_asked(
    hub: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(asked: Asked) -> Served:
        raise FetchError("no answer")

    assert hub.addon.hub
    monkeypatch.setattr(hub.addon.hub.registry, "manifest", silent)
    assert errors_of(await hub.ask(MANIFEST)) == (502, ["UNAVAILABLE"])
    assert hub.counts == {"hub refused 502": 1, "failed": 1}


async def test_an_error_that_the_registry_gives_is_counted(
    hub: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(asked: Asked) -> Served:
        return Served(oci_error(503, "UNAVAILABLE", "later"))

    assert hub.addon.hub
    monkeypatch.setattr(hub.addon.hub.registry, "manifest", broken)
    await hub.ask(MANIFEST)
    assert hub.counts["hub refused 503"] == 1


# --- what is sent on


@pytest.fixture
def authorized(hub: Running, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hub's client has a token for whatever it is asked; notes it."""
    asked: list[str] = []

    async def authorization(registry: Registry, name: str, actions: str = "pull") -> str:
        asked.append(f"{name} {actions}")
        return "Bearer hubs"

    monkeypatch.setattr(hub.addon._client, "authorization", authorization)
    return asked


async def test_a_layer_is_sent_on_with_the_hubs_login(hub: Running, authorized: list[str]) -> None:
    flow = await hub.ask(f"/v2/a/b/blobs/{digest(1)}", Cookie="x")
    assert (flow.response, flow.request.stream) == (None, True)
    assert authorized == ["a/b pull"]
    assert flow.request.headers["Authorization"] == "Bearer hubs"
    assert "Cookie" not in flow.request.headers
    assert flow.request.host_header == "r.test"


async def test_a_layers_401_shows_a_client_nothing(hub: Running, authorized: list[str]) -> None:
    flow = await hub.ask(f"/v2/a/b/blobs/{digest(1)}")
    answer(flow, 401, b"", WWW_Authenticate='Basic realm="r.test"', X_Other="x")
    hub.addon.responseheaders(flow)
    assert flow.response
    assert flow.response.status_code in (307, 403, 503)
    assert not {"www-authenticate", "x-other"} & {name.lower() for name in flow.response.headers}
    hub.addon.response(flow)


async def test_a_layers_401_is_counted_where_asking_again_does_not_help(
    hub: Running, authorized: list[str]
) -> None:
    flow = await hub.ask(f"/v2/a/b/blobs/{digest(1)}?metahub-again=1")
    answer(flow, 401, b"", WWW_Authenticate='Basic realm="r.test"')
    hub.addon.responseheaders(flow)
    assert hub.counts == {"hub sent on": 1, "hub refused 403": 1}


# --- and nobody else touches it


async def test_the_other_addons_leave_a_hubs_flows_alone(
    hub: Running, authorized: list[str]
) -> None:
    index = {"Content_Type": DOCKER_LIST, "Docker_Content_Digest": digest(9)}
    for target in (MANIFEST, f"/v2/a/b/blobs/{digest(1)}"):
        flow = await hub.ask(f"{target}?ns=r.test", user="" if target == MANIFEST else "qnib")
        response, sent = flow.response, flow.request.copy()
        hub.interceptor.requestheaders(flow)
        hub.metahub.requestheaders(flow)
        await hub.layers.requestheaders(flow)
        assert flow.response is response
        assert flow.request.data == sent.data
        assert not {NOT_OURS, MIRRORED} & set(flow.metadata)
        answer(flow, 200, b"{}", **index)
        assert flow.response
        before = flow.response.copy()
        await hub.metahub.responseheaders(flow)
        await hub.layers.responseheaders(flow)
        hub.interceptor.response(flow)
        await hub.metahub.response(flow)
        hub.layers.response(flow)
        flow.error = Error("no answer")
        hub.interceptor.error(flow)
        assert flow.response.data == before.data
    assert set(hub.counts) <= {"hub refused 401", "hub sent on"}
    assert hub.signalled == []
