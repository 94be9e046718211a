"""A flow of a hub's client → what the client shows; and back: an answer, or on its way."""

from ssl import PEM_cert_to_DER_cert

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ProxyMode, ReverseMode

from metahub_addon.answer import Answer
from metahub_addon.client_certificates import ShownCertificate
from metahub_addon.flow_repository import is_local
from metahub_addon.hub_config import HubConfig
from metahub_addon.hub_request import FORWARDERS, Way, client_address, is_private_way
from metahub_addon.hub_routes import Route, led_back
from metahub_addon.upstream import DEFAULT_PORTS, Registry, registry_at

# Whatever a registry keeps is no page of the hub's: what a browser makes of it runs no script,
# and in no origin of ours.
_OWN = {
    "Docker-Distribution-Api-Version": "registry/2.0",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
# A refused request whose body is longer is cut off: nobody reads gigabytes to say no.
_MAX_REFUSED_BODY = 1024 * 1024
_MAX_DIGITS = 20
# What a registry needs to know of a request. All else stays here: a header may make it, or
# what stands before it, do with the hub's login what the request does not say.
_SENT_ON = frozenset(
    {
        *("accept", "accept-encoding", "content-encoding", "content-length", "content-range"),
        *("content-type", "expect", "if-match", "if-modified-since", "if-none-match", "if-range"),
        *("if-unmodified-since", "range", "transfer-encoding", "user-agent"),
        *("oci-chunk-min-length", "docker-distribution-api-version"),
    }
)
# Registries read a form's fields as if they stood in the query: `mount`, for one.
_FORMS = ("application/x-www-form-urlencoded", "multipart/")
# What a client needs to know of a registry's answer. All else stays here: it must neither take
# its login elsewhere nor believe that the hub says what the registry does.
_SENT_BACK = frozenset(
    {
        *("accept-ranges", "cache-control", "connection", "content-encoding", "content-length"),
        *("content-range", "content-type", "date", "docker-content-digest", "docker-upload-uuid"),
        *("etag", "keep-alive", "last-modified", "link", "location", "oci-chunk-max-length"),
        *("oci-chunk-min-length", "oci-filters-applied", "oci-subject", "oci-tag", "range"),
        *("ratelimit-limit", "ratelimit-remaining", "retry-after", "transfer-encoding", "vary"),
    }
)


def target_of(mode: str, verified: bool) -> Registry | None:
    """The registry that a reverse mode names; None for any other mode."""
    parsed = ProxyMode.parse(mode)
    if not isinstance(parsed, ReverseMode) or parsed.scheme not in DEFAULT_PORTS:
        return None
    return registry_at(parsed.scheme, *parsed.address, verified)


def host_of(flow: http.HTTPFlow) -> str:
    """The hub's name by which a client called it, without the port."""
    host = (flow.request.host_header or "").lower()
    return host if host.endswith("]") else host.rsplit(":", 1)[0]


def address_of(flow: http.HTTPFlow, config: HubConfig) -> str:
    """The client's address; empty if it has none that is one."""
    forwarded = ",".join(flow.request.headers.get_all("X-Forwarded-For"))
    return client_address(flow.client_conn.peername[0], forwarded, config.trusted_proxies)


def is_private(flow: http.HTTPFlow, config: HubConfig) -> bool:
    """True if nobody on the way can read a login: by TLS, or from this very host."""
    headers = flow.request.headers
    way = Way(
        peer=flow.client_conn.peername[0],
        tls=flow.client_conn.tls,
        local=is_local(flow),
        forwarded=any(name in headers for name in FORWARDERS),
        forwarded_proto=headers.get("X-Forwarded-Proto", ""),
    )
    return is_private_way(way, config.trusted_proxies)


def certificate_of(flow: http.HTTPFlow) -> ShownCertificate | None:
    """The certificate that a client has shown (and by TLS proven to be its own)."""
    chain = flow.client_conn.certificate_list
    if not chain:
        return None
    return ShownCertificate.of([PEM_cert_to_DER_cert(one.to_pem().decode()) for one in chain])


def give(flow: http.HTTPFlow, answer: Answer) -> None:
    """Answer a request without its registry."""
    flow.request.stream = False
    response = http.Response.make(answer.status, answer.body, {**answer.headers, **_OWN})
    if "Content-Length" in answer.headers:
        # A HEAD's answer has the length of a body that is not sent.
        response.headers["Content-Length"] = answer.headers["Content-Length"]
    elif answer.status == 304:
        response.headers.pop("Content-Length", None)
    flow.response = response


def has_body(request: http.Request) -> bool:
    """True for a request that is not over with its headers."""
    length = request.headers.get("Content-Length", "0")
    return length != "0" or "Transfer-Encoding" in request.headers


def has_long_body(request: http.Request) -> bool:
    """True for a request whose body is long, or of unknown length."""
    length = request.headers.get("Content-Length", "0")
    # Python takes no more than 4300 digits for a number.
    is_number = length.isdecimal() and len(length) <= _MAX_DIGITS
    is_long = not is_number or int(length) > _MAX_REFUSED_BODY
    return is_long or "Transfer-Encoding" in request.headers


def is_repeatable(request: http.Request, route: Route) -> bool:
    """True for what clients send again when they are redirected: no body, or a manifest."""
    if request.method in ("GET", "HEAD"):
        return True
    has_no_body = request.headers.get("Content-Length", "") == "0"
    is_manifest = request.method == "PUT" and route.rest.startswith("manifests/")
    return is_manifest or (request.method == "POST" and has_no_body)


def send_on(flow: http.HTTPFlow, route: Route, authorization: str) -> None:
    """Turn a request to its registry, with the hub's login instead of the client's."""
    request, registry = flow.request, route.rule.registry
    for name in {name for name in request.headers if name.lower() not in _SENT_ON}:
        del request.headers[name]
    if any(form in request.headers.get("Content-Type", "").lower() for form in _FORMS):
        del request.headers["Content-Type"]
    if authorization:
        request.headers["Authorization"] = authorization
    request.scheme, request.host, request.port = registry.scheme, registry.host, registry.port
    request.host_header, request.path = registry.authority, route.path
    server = flow.server_conn
    if server.address == (registry.host, registry.port) and not server.connected:
        # Else mitmproxy asks for the name by which the client called the hub.
        server.sni = registry.sni or registry.host


def lead_back(flow: http.HTTPFlow, route: Route) -> None:
    """Make a registry's answer one of the hub's: its own paths, no login elsewhere."""
    assert flow.response
    headers = flow.response.headers
    for name in {name for name in headers if name.lower() not in _SENT_BACK}:
        del headers[name]
    for name, value in _OWN.items():
        headers[name] = value
    if "Location" in headers:
        headers["Location"] = led_back(headers["Location"], route)
    if "Link" in headers:
        target, closed, rest = headers["Link"].removeprefix("<").partition(">")
        headers["Link"] = f"<{led_back(target, route)}{closed}{rest}"


def replace_answer(flow: http.HTTPFlow, answer: Answer) -> None:
    """Put an answer in the place of a registry's that has begun; see also `fill`."""
    response = flow.response
    assert response
    body = answer.body
    response.headers.clear()
    for name, value in {**answer.headers, **_OWN}.items():
        response.headers[name] = value
    response.status_code, response.reason = answer.status, ""
    response.stream = lambda chunk: b"" if chunk else body
    flow.metadata[_INSTEAD] = body


_INSTEAD = "metahub_hub_body"


def fill(flow: http.HTTPFlow) -> None:
    """Give a replaced answer its body where the registry's had none that is streamed."""
    assert flow.response
    body = flow.metadata.get(_INSTEAD)
    if isinstance(body, bytes) and flow.response.raw_content is not None:
        length = flow.response.headers.get("Content-Length", str(len(body)))
        flow.response.raw_content = body
        flow.response.headers["Content-Length"] = length
