"""A flow → where it goes: the registry, the repository, and what the client showed."""

from mitmproxy import ctx, http
from mitmproxy.proxy.mode_specs import ReverseMode

from metahub_addon.interception import Endpoint
from metahub_addon.own_addresses import is_own_address
from metahub_addon.upstream import Registry, Repository

# Marks a flow to a registry that is not in metahub_registries, and one of a mirror's client.
NOT_OURS = "metahub_not_ours"
MIRRORED = "metahub_mirrored"
# Marks a flow of a hub's client: a hub is no proxy, nothing else may touch it.
HUB = "metahub_hub"


def repository_of(flow: http.HTTPFlow, name: str, namespace: str = "") -> Repository:
    """The repository that a request is about. `namespace` is containerd's `?ns=`."""
    server, via = flow.server_conn, flow.server_conn.via
    address = f"[{via[1][0]}]" if via and ":" in via[1][0] else via[1][0] if via else ""
    registry = Registry(
        scheme=flow.request.scheme,
        host=flow.request.host,
        port=flow.request.port,
        authority=flow.request.host_header or flow.request.host,
        sni=server.sni or _promised_sni(flow),
        verified=not ctx.options.ssl_insecure,
        via=f"{via[0]}://{address}:{via[1][1]}" if via else "",
    )
    return Repository(
        registry=registry,
        name=name,
        namespace=namespace,
        authorization=flow.request.headers.get("Authorization", ""),
        user_agent=flow.request.headers.get("User-Agent", ""),
    )


def endpoint_of(flow: http.HTTPFlow) -> Endpoint:
    """The registry by the name that the client gave it, and its port."""
    return Endpoint(flow.request.pretty_host.lower(), flow.request.port)


def is_local(flow: http.HTTPFlow) -> bool:
    """True for a client on this host, where our firewall, ports and configuration hold."""
    return is_own_address(flow.client_conn.peername[0])


def is_vouched_for(flow: http.HTTPFlow) -> bool:
    """True if TLS has proven the name of the registry: a Host header alone proves nothing.

    The upstream certificate is verified for the client's SNI, so the two must be one.
    """
    sni = (flow.client_conn.sni or "").lower()
    return flow.request.scheme == "https" and endpoint_of(flow).host == sni


def _promised_sni(flow: http.HTTPFlow) -> str:
    """The name that mitmproxy will ask for: no connection is open yet, it is made when needed."""
    if flow.request.scheme != "https" or isinstance(flow.client_conn.proxy_mode, ReverseMode):
        return ""
    return flow.client_conn.sni or ""
