"""Requests and connections as mitmproxy's hooks get them, in one line."""

from urllib.parse import urlsplit

from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import tflow, tutils

REVERSE = "reverse:https://listener.test:443"


class ProxyOptions(Proxyserver):
    """Declares mitmproxy's options for connections, and serves none."""

    def configure(self, updated: set[str]) -> None:
        pass


def client_of(mode: str = "regular", peer: str = "127.0.0.1", sni: str | None = None) -> Client:
    """A client's connection to one of the proxy's ports."""
    client = tflow.tclient_conn()
    client.proxy_mode = ProxyMode.parse(mode)
    client.peername, client.sni = (peer, 40000), sni
    return client


def as_sent(header: str) -> bytes:
    """The bytes of a header as mitmproxy decodes them."""
    return header.encode("utf-8", "surrogateescape")


def request_flow(
    url: str,
    method: str = "GET",
    mode: str = "regular",
    peer: str = "127.0.0.1",
    sni: str | None = None,
    **headers: str,
) -> http.HTTPFlow:
    """A request that has just arrived; no connection to the server is open."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    named = {"Host": parts.netloc, **{n.replace("_", "-"): v for n, v in headers.items()}}
    request = tutils.treq(
        method=method.encode(),
        scheme=parts.scheme.encode(),
        host=parts.hostname or "",
        port=port,
        path=target.encode(),
        headers=http.Headers([(n.encode(), as_sent(v)) for n, v in named.items()]),
    )
    flow = tflow.tflow(client_conn=client_of(mode, peer, sni), req=request)
    flow.server_conn = Server(address=(request.host, port))
    return flow


def answer(flow: http.HTTPFlow, status: int = 200, body: bytes = b"", **headers: str) -> None:
    """The server's answer to a request has begun."""
    named = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    flow.response = tutils.tresp(status_code=status, headers=http.Headers(named), content=body)
