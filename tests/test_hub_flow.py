from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from mitmproxy import certs, http
from mitmproxy.connection import ConnectionState, Server

from metahub_addon.answer import Answer
from metahub_addon.hub_config import HubConfig, UpstreamRule
from metahub_addon.hub_flow import (
    address_of,
    certificate_of,
    fill,
    give,
    has_body,
    has_long_body,
    host_of,
    is_private,
    is_repeatable,
    lead_back,
    replace_answer,
    send_on,
    target_of,
)
from metahub_addon.hub_routes import Route, find_route
from metahub_addon.oci_error import oci_error
from metahub_addon.upstream import Registry
from support.certificates import make_authority
from support.flows import REVERSE, answer, request_flow
from support.hub import config

HUB = "https://hub.test"
CLIENT, PROXY, HERE = "198.51.100.7", "192.0.2.10", "127.0.0.1"
BEHIND_A_PROXY = config(trusted_proxies=(ip_network("192.0.2.0/28"),))
DIRECT = config()
REGISTRY = Registry(
    scheme="https", host="r.test", port=443, authority="r.test", sni="r.test", verified=True
)
PLAIN = Registry(scheme="http", host="plain.test", port=5000, authority="plain.test:5000")
RULES = (
    UpstreamRule(name="plain", registry=PLAIN, prefix="plain"),
    UpstreamRule(name="r.test", registry=REGISTRY),
)


def route(method: str, target: str) -> Route:
    found = find_route(method, target, "hub.test", RULES)
    assert isinstance(found, Route)
    return found


@pytest.mark.parametrize(
    ("mode", "registry"),
    [
        ("reverse:https://r.test@443", REGISTRY),
        ("reverse:https://r.test:443", REGISTRY),
        ("reverse:https://r.test", REGISTRY),
        ("reverse:https://r.test:443@5000", REGISTRY),
        ("reverse:http://plain.test:5000", PLAIN),
        (
            "reverse:https://[::1]:5000",
            Registry(
                scheme="https",
                host="::1",
                port=5000,
                authority="[::1]:5000",
                sni="::1",
                verified=True,
            ),
        ),
        ("reverse:http://r.test:443", None),
    ],
)
def test_the_target(mode: str, registry: Registry | None) -> None:
    found = target_of(mode, True)
    assert found
    if registry:
        assert found == replace(registry, verified=registry.scheme == "https")
    else:
        assert found.authority == "r.test:443"  # no default of http
    unverified = target_of(mode, False)
    assert unverified
    assert not unverified.verified


@pytest.mark.parametrize(
    "mode", ["regular", "transparent", "socks5", "reverse:tcp://r.test:443", "upstream:http://p:1"]
)
def test_no_target(mode: str) -> None:
    assert target_of(mode, True) is None


@pytest.mark.parametrize(
    ("named", "host"),
    [
        ("hub.test", "hub.test"),
        ("HUB.test:5000", "hub.test"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("[::1]", "[::1]"),
        ("[::1]:5000", "[::1]"),
        ("", ""),
    ],
)
def test_the_hubs_name(named: str, host: str) -> None:
    assert host_of(request_flow(f"{HUB}/v2/", Host=named)) == host


def test_a_client_without_a_host() -> None:
    flow = request_flow(f"{HUB}/v2/")
    del flow.request.headers["Host"]
    assert host_of(flow) == ""


def test_the_address() -> None:
    flow = request_flow(f"{HUB}/v2/", peer=PROXY)
    for hop in ("203.0.113.1, 203.0.113.2", CLIENT):
        flow.request.headers.add("X-Forwarded-For", hop)
    assert address_of(flow, BEHIND_A_PROXY) == CLIENT
    assert address_of(flow, DIRECT) == PROXY


@pytest.mark.parametrize(
    ("peer", "tls", "forwarded", "known", "private"),
    [
        (PROXY, True, "http", BEHIND_A_PROXY, False),  # TLS from the proxy to here alone
        (PROXY, True, "https", BEHIND_A_PROXY, True),
        (CLIENT, True, "http", BEHIND_A_PROXY, True),
        (HERE, False, "https", DIRECT, False),
        (CLIENT, True, "", DIRECT, True),
        (CLIENT, False, "", DIRECT, False),
        (HERE, False, "", DIRECT, True),
        (PROXY, False, "https", BEHIND_A_PROXY, True),
        (PROXY, False, "HTTPS", BEHIND_A_PROXY, True),
        (PROXY, False, "http", BEHIND_A_PROXY, False),
        (PROXY, False, "http, https", BEHIND_A_PROXY, False),
        (PROXY, False, "", BEHIND_A_PROXY, False),
        (PROXY, False, "https", DIRECT, False),
        (CLIENT, False, "https", BEHIND_A_PROXY, False),
    ],
)
def test_who_can_read_a_login(
    peer: str, tls: bool, forwarded: str, known: HubConfig, private: bool
) -> None:
    flow = request_flow(f"{HUB}/v2/", peer=peer)
    flow.client_conn.tls = tls
    if forwarded:
        flow.request.headers["X-Forwarded-Proto"] = forwarded
    assert is_private(flow, known) is private


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via"]
)
def test_what_was_forwarded_is_not_from_this_host(header: str) -> None:
    flow = request_flow(f"{HUB}/v2/", peer=HERE)
    flow.client_conn.tls = False
    assert is_private(flow, DIRECT)
    flow.request.headers[header] = "x"
    assert not is_private(flow, DIRECT)


def test_the_certificate(tmp_path: Path) -> None:
    authority, certificate, _ = make_authority(tmp_path, HERE)
    flow = request_flow(f"{HUB}/v2/")
    flow.client_conn.certificate_list = []
    assert certificate_of(flow) is None
    chain = [certs.Cert.from_pem(file.read_bytes()) for file in (certificate, authority)]
    flow.client_conn.certificate_list = chain
    shown = certificate_of(flow)
    assert shown
    assert shown.common_name == "registry"
    assert shown.fingerprint == chain[0].fingerprint().hex()
    assert len(shown.chain) == 2


@pytest.mark.parametrize(
    ("answered", "length", "body"),
    [
        (oci_error(403, "DENIED", "no"), None, True),
        (oci_error(403, "DENIED", "no", head=True), None, False),
        (Answer(status=304, headers={"ETag": '"x"'}, body=b""), "", False),
        (Answer(status=200, headers={}, body=b"x"), "1", True),
    ],
)
def test_an_answer_of_the_hubs(answered: Answer, length: str | None, body: bool) -> None:
    flow = request_flow(f"{HUB}/v2/")
    flow.request.stream = True
    give(flow, answered)
    response = flow.response
    assert response
    assert (response.status_code, response.raw_content) == (answered.status, answered.body)
    assert bool(response.raw_content) is body
    wanted = answered.headers["Content-Length"] if length is None else length
    assert response.headers.get("Content-Length", "") == wanted
    assert response.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    assert flow.request.stream is False


@pytest.mark.parametrize(
    ("headers", "is_long"),
    [
        ({}, False),
        ({"Content-Length": "0"}, False),
        ({"Content-Length": "1048576"}, False),
        ({"Content-Length": "1048577"}, True),
        ({"Content-Length": "-1"}, True),
        ({"Content-Length": "²"}, True),
        ({"Content-Length": "1" * 5000}, True),
        ({"Transfer-Encoding": "chunked"}, True),
        ({"Transfer-Encoding": "chunked", "Content-Length": "0"}, True),
    ],
)
def test_long_bodies(headers: dict[str, str], is_long: bool) -> None:
    flow = request_flow(f"{HUB}/v2/", "PUT", **headers)
    assert has_long_body(flow.request) is is_long


@pytest.mark.parametrize(
    ("headers", "has"),
    [
        ({}, False),
        ({"Content-Length": "0"}, False),
        ({"Content-Length": "1"}, True),
        ({"Transfer-Encoding": "chunked"}, True),
    ],
)
def test_bodies(headers: dict[str, str], has: bool) -> None:
    assert has_body(request_flow(f"{HUB}/v2/", "PUT", **headers).request) is has


@pytest.mark.parametrize(
    ("method", "rest", "length", "repeatable"),
    [
        ("GET", "tags/list", "", True),
        ("HEAD", "blobs/x", "", True),
        ("PUT", "manifests/latest", "99", True),
        ("POST", "blobs/uploads/", "0", True),
        ("POST", "blobs/uploads/", "", False),
        ("POST", "blobs/uploads/", "99", False),
        ("PATCH", "blobs/uploads/x", "99", False),
        ("PUT", "blobs/uploads/x", "0", False),
        ("DELETE", "blobs/uploads/x", "", False),
    ],
)
def test_what_is_sent_again_when_redirected(
    method: str, rest: str, length: str, repeatable: bool
) -> None:
    target = f"/v2/a/{rest}"
    flow = request_flow(HUB + target, method, **({"Content_Length": length} if length else {}))
    assert is_repeatable(flow.request, route(method, target)) is repeatable


# What a registry, or a proxy before it, could take for an order.
ORDERS = {
    "Authorization": "Basic cW5pYjpyaWdodA==",
    "Proxy-Authorization": "Basic eDp5",
    "Cookie": "session=1",
    "Connection": "authorization",
    "Keep-Alive": "1",
    "TE": "trailers",
    "Upgrade": "websocket",
    "Forwarded": "for=198.51.100.7",
    "X-Forwarded-For": CLIENT,
    "X-Forwarded-Host": "evil.test",
    "X-Forwarded-Prefix": "/v2/secret",
    "X-Forwarded-Proto": "http",
    "X-HTTP-Method-Override": "DELETE",
    "X-Original-URL": "/v2/secret/tags/list",
    "X-Rewrite-URL": "/v2/secret/tags/list",
    "X-Registry-Auth": "e30=",
    "Referer": "https://hub.test/",
    "Origin": "https://hub.test",
}


@pytest.mark.parametrize("authorization", ["Bearer t0ken", ""])
def test_a_request_is_sent_on_as_the_hubs(authorization: str) -> None:
    sent = {
        "Accept": "text/x",
        "Content-Type": "application/octet-stream",
        "Range": "bytes=1-2",
        "User-Agent": "docker/26",
    }
    flow = request_flow(f"{HUB}/v2/plain/a/blobs/x?ns=plain&n=1", **sent)
    for name, value in ORDERS.items():
        flow.request.headers.add(name, value)
        flow.request.headers.add(name.lower(), value)
    send_on(flow, route("GET", flow.request.path), authorization)
    request = flow.request
    assert (request.scheme, request.host, request.port) == ("http", "plain.test", 5000)
    assert request.path == "/v2/a/blobs/x?n=1"
    own = {"Host": "plain.test:5000"}
    own |= {"Authorization": authorization} if authorization else {}
    assert dict(request.headers) == sent | own
    assert len(request.headers.fields) == len(sent | own)


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        " Application/X-WWW-Form-Urlencoded; charset=utf-8",
        "multipart/form-data; boundary=x",
    ],
)
def test_a_form_says_nothing(kind: str) -> None:
    """`mount` and `from` in a body would be read as if they stood in the query."""
    flow = request_flow(f"{HUB}/v2/a/blobs/uploads/", "POST", Content_Type=kind)
    send_on(flow, route("POST", flow.request.path), "Bearer t0ken")
    assert "Content-Type" not in flow.request.headers


@pytest.mark.parametrize(
    ("address", "connected", "sni"),
    [
        (("r.test", 443), False, "r.test"),
        (("r.test", 443), True, None),
        (("hub.test", 443), False, None),
    ],
)
def test_tls_asks_for_the_registrys_name(
    address: tuple[str, int], connected: bool, sni: str | None
) -> None:
    flow = request_flow(f"{HUB}/v2/a/tags/list", mode=REVERSE)
    flow.server_conn = Server(address=address)
    if connected:
        flow.server_conn.state = ConnectionState.OPEN
    send_on(flow, route("GET", flow.request.path), "")
    assert flow.server_conn.sni == sni


def test_a_registry_without_tls_has_its_hosts_name() -> None:
    flow = request_flow(f"{HUB}/v2/plain/a/tags/list", mode=REVERSE)
    flow.server_conn = Server(address=("plain.test", 5000))
    send_on(flow, route("GET", flow.request.path), "")
    assert flow.server_conn.sni == "plain.test"


def answered(status: int = 200, **headers: str) -> http.HTTPFlow:
    flow = request_flow(f"{HUB}/v2/plain/a/tags/list?n=1")
    answer(flow, status, b"", **headers)
    return flow


# What a browser makes of an answer runs nowhere, whoever has sent it.
OWN = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def test_an_answer_is_led_back() -> None:
    flow = answered(
        202,
        Location="http://plain.test:5000/v2/a/blobs/uploads/1?_state=x",
        Link='</v2/a/tags/list?last=b&n=1>; rel="next"',
        Range="0-0",
        WWW_Authenticate='Basic realm="registry"',
        Proxy_Authenticate="Basic",
        Authentication_Info="x",
        Set_Cookie="session=1",
        Strict_Transport_Security="max-age=1",
        Alt_Svc='h3=":443"',
        Clear_Site_Data='"*"',
        Refresh="0;url=https://elsewhere.test",
        Access_Control_Allow_Origin="*",
        Service_Worker_Allowed="/",
        Content_Security_Policy="script-src *",
        X_Metahub_Machine_Type="of the registry's",
    )
    lead_back(flow, route("GET", "/v2/plain/a/tags/list"))
    assert flow.response
    assert dict(flow.response.headers) == {
        "Location": "/v2/plain/a/blobs/uploads/1?_state=x",
        "Link": '</v2/plain/a/tags/list?last=b&n=1>; rel="next"',
        "Range": "0-0",
        **OWN,
    }


def test_an_answer_that_leads_nowhere_stays() -> None:
    flow = answered(200, Content_Length="2")
    lead_back(flow, route("GET", "/v2/plain/a/tags/list"))
    assert flow.response
    assert dict(flow.response.headers) == {"Content-Length": "2", **OWN}


def test_layers_elsewhere_stay_elsewhere() -> None:
    flow = answered(307, Location="https://cdn.test/x?signature=y")
    lead_back(flow, route("GET", "/v2/plain/a/blobs/x"))
    assert flow.response
    assert flow.response.headers["Location"] == "https://cdn.test/x?signature=y"


def test_an_answer_is_replaced_while_it_streams() -> None:
    flow = answered(401, WWW_Authenticate="Bearer realm=x", Content_Length="99", X_Other="y")
    denied = oci_error(403, "DENIED", "no")
    replace_answer(flow, denied)
    response = flow.response
    assert response
    assert response.status_code == 403
    assert dict(response.headers) == {**denied.headers, **OWN}
    assert callable(response.stream)
    assert [response.stream(chunk) for chunk in (b"secret", b"more", b"")] == [
        b"",
        b"",
        denied.body,
    ]
    response.raw_content = None  # as mitmproxy leaves it, when it has streamed
    fill(flow)
    assert response.raw_content is None


@pytest.mark.parametrize("head", [False, True])
def test_one_without_a_body_gets_its_own(head: bool) -> None:
    flow = answered(401, WWW_Authenticate="Bearer realm=x")
    denied = oci_error(403, "DENIED", "no", head)
    replace_answer(flow, denied)
    fill(flow)
    response = flow.response
    assert response
    assert response.raw_content == denied.body
    assert response.headers["Content-Length"] == denied.headers["Content-Length"]


def test_one_of_no_known_length() -> None:
    flow = answered(401)
    replace_answer(flow, Answer(status=307, headers={"Location": "/"}, body=b""))
    fill(flow)
    assert flow.response
    assert flow.response.headers["Content-Length"] == "0"


def test_an_answer_that_was_not_replaced_stays() -> None:
    flow = answered(200, Content_Length="99")
    fill(flow)
    assert flow.response
    assert flow.response.headers["Content-Length"] == "99"
