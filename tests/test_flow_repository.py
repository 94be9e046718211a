from collections.abc import AsyncIterator

import pytest
from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.net.server_spec import ServerSpec
from mitmproxy.test import taddons

from metahub_addon.flow_repository import (
    endpoint_of,
    is_local,
    is_vouched_for,
    repository_of,
)
from metahub_addon.interception import Endpoint
from metahub_addon.upstream import Registry, Repository
from support.flows import REVERSE, request_flow

URL = "https://reg.test:5000/v2/a/b/manifests/t"


# taddons wants a running event loop: so all that need options are asynchronous.
@pytest.fixture
async def context() -> AsyncIterator["taddons.context"]:
    with taddons.context() as made:
        yield made


async def test_what_a_client_shows_is_read(context: "taddons.context") -> None:
    flow = request_flow(URL, sni="reg.test", Authorization="Bearer x", User_Agent="docker/26")
    found = repository_of(flow, "a/b", "docker.io")
    place = Registry(
        scheme="https",
        host="reg.test",
        port=5000,
        authority="reg.test:5000",
        sni="reg.test",
        verified=True,
    )
    assert found == Repository(registry=place, name="a/b", namespace="docker.io")
    assert (found.authorization, found.user_agent) == ("Bearer x", "docker/26")


async def test_without_verification_nothing_vouches_for_a_name(context: "taddons.context") -> None:
    context.options.update(ssl_insecure=True)
    assert repository_of(request_flow(URL), "a/b").registry.verified is False


async def test_without_a_host_header_the_address_stands(context: "taddons.context") -> None:
    flow = request_flow(URL)
    del flow.request.headers["Host"]
    registry = repository_of(flow, "a/b").registry
    assert (registry.host, registry.authority) == ("reg.test", "reg.test")


@pytest.mark.parametrize(
    ("mode", "scheme", "sni", "promised"),
    [
        ("transparent", "https", "reg.test", "reg.test"),
        ("regular", "https", "reg.test", "reg.test"),
        ("regular", "https", None, ""),
        ("regular", "http", "reg.test", ""),
        (REVERSE, "https", "localhost", ""),
    ],
)
async def test_the_name_that_tls_will_be_verified_for(
    context: "taddons.context", mode: str, scheme: str, sni: str | None, promised: str
) -> None:
    """A mirror's client names the mirror by SNI, and that is none of the registry's."""
    flow = request_flow(f"{scheme}://192.0.2.1/v2/", mode=mode, sni=sni)
    assert repository_of(flow, "a/b").registry.sni == promised


async def test_an_open_connection_knows_its_name(context: "taddons.context") -> None:
    flow = request_flow(URL, sni="client.test")
    flow.server_conn.sni = "server.test"
    assert repository_of(flow, "a/b").registry.sni == "server.test"


@pytest.mark.parametrize(
    ("spec", "via"),
    [
        (("http", ("proxy.test", 3128)), "http://proxy.test:3128"),
        (("https", ("2001:db8::1", 3128)), "https://[2001:db8::1]:3128"),
        (None, ""),
    ],
)
async def test_an_upstream_proxy(
    context: "taddons.context", spec: ServerSpec | None, via: str
) -> None:
    flow = request_flow(URL)
    flow.server_conn = Server(address=("reg.test", 5000), via=spec)
    assert repository_of(flow, "a/b").registry.via == via


@pytest.mark.parametrize(
    ("host", "endpoint"),
    [
        ("Reg.Test:5000", Endpoint("reg.test", 5000)),
        ("", Endpoint("192.0.2.1", 5000)),
        ("[2001:DB8::1]:5000", Endpoint("2001:db8::1", 5000)),
    ],
)
def test_a_registry_is_known_by_the_name_that_the_client_gave(
    host: str, endpoint: Endpoint
) -> None:
    """In transparent mode the request's own host is an address."""
    flow = request_flow("https://192.0.2.1:5000/v2/", Host=host)
    if not host:
        del flow.request.headers["Host"]
    assert endpoint_of(flow) == endpoint


@pytest.mark.parametrize(
    ("peer", "local"), [("127.0.0.1", True), ("192.0.2.77", False), ("2001:db8::77", False)]
)
def test_a_client_of_this_host(peer: str, local: bool) -> None:
    flow: http.HTTPFlow = request_flow(URL, peer=peer)
    assert is_local(flow) is local


@pytest.mark.parametrize(
    ("url", "sni", "host", "vouched"),
    [
        ("https://192.0.2.1/", "reg.test", "reg.test", True),
        ("https://192.0.2.1:5000/", "REG.test", "Reg.Test:5000", True),
        ("https://192.0.2.1/", "reg.test", "other.test", False),
        ("https://192.0.2.1/", None, "reg.test", False),
        ("https://192.0.2.1/", None, "192.0.2.1", False),
        ("http://192.0.2.1/", "reg.test", "reg.test", False),
    ],
)
def test_only_tls_vouches_for_the_name_that_a_client_gave(
    url: str, sni: str | None, host: str, vouched: bool
) -> None:
    assert is_vouched_for(request_flow(url, sni=sni, Host=host)) is vouched
