"""mitmproxy hooks: intercept what may ask for manifests, leave all else alone end to end."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence

from mitmproxy import ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ReverseMode, TransparentMode

from metahub_addon.flow_repository import MIRRORED, NOT_OURS, endpoint_of, is_local
from metahub_addon.interception import Endpoint, Interception
from metahub_addon.registries import InvalidRegistry, layers_ports, parse_registries
from metahub_addon.registry import recognise, registry_of

logger = logging.getLogger("metahub")

_OPTIONS = frozenset({"metahub_registries", "metahub_layers_port"})
# How TLS says that it is about trust, and not a line that went down.
_TRUST_ERRORS = ("verify failed", "does not trust", "alert", "unknown ca", "bad certificate")


class Interceptor:
    """Decides what is intercepted, and marks the flows that are none of ours.

    `counts` is the addon's; `signal` asks the firewall to leave an address alone.
    """

    def __init__(self, counts: Counter[str], signal: Callable[[str], None]) -> None:
        self._counts = counts
        self._signal = signal
        self.interception = Interception(parse_registries(()))
        self.layers_ports: dict[int, int] = {}

    def load(self, loader: Loader) -> None:
        """Declare the options."""
        loader.add_option(
            "metahub_registries",
            Sequence[str],
            [],
            "Registries to intercept, host[:port] with wildcards in the host. Empty: all.",
        )
        loader.add_option(
            "metahub_layers_port",
            int,
            0,
            "Port that the firewall sends on to a registry's own, for layers. 0: off.",
        )
        # What is answered without the registry needs no connection to it, nor does its TLS.
        ctx.options.update(connection_strategy="lazy")

    def configure(self, updated: set[str]) -> None:
        """Parse the options that changed; raises OptionsError, then all stays as it was."""
        if not updated & _OPTIONS:
            return
        try:
            registries = parse_registries(ctx.options.metahub_registries)
            ports = layers_ports(ctx.options.metahub_layers_port, registries.ports)
        except InvalidRegistry as error:
            raise exceptions.OptionsError(f"metahub_registries: {error}") from None
        self.layers_ports = ports
        self.interception = Interception(registries, ports.values())

    def let_past(self, endpoint: Endpoint, address: str) -> None:
        """Have the firewall leave an address alone, if only layers come from there."""
        if self.interception.may_pass(endpoint, address):
            self._signal(address)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Leave a connection alone, end to end, that has nothing for us."""
        endpoint = _tls_endpoint(data.context)
        if endpoint is None:
            return
        reason = self.interception.leave(endpoint)
        if reason:
            logger.debug("%s: left alone: %s", endpoint, reason)
            self._counts["connections left alone"] += 1
            data.ignore_connection = True
            address = data.context.server.address
            if address and isinstance(data.context.client.proxy_mode, TransparentMode):
                self.let_past(endpoint, address[0])

    def tls_established_client(self, data: tls.TlsData) -> None:
        """Note that a client trusts us."""
        if endpoint := _tls_endpoint(data.context):
            self.interception.note_trust(endpoint)

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Leave a registry alone whose clients do not trust us: their next try succeeds."""
        endpoint = _tls_endpoint(data.context)
        if endpoint is None or not _is_about_trust(data.conn.error):
            return
        left = self.interception.note_distrust(endpoint)
        self._counts["clients without trust"] += 1
        what = "left alone for 5 minutes" if left else "others do, so it stays intercepted"
        logger.warning("%s: a client does not trust the proxy's CA: %s", endpoint, what)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """Leave a registry alone that we cannot verify: clients may trust it, and can try."""
        endpoint = _tls_endpoint(data.context)
        if endpoint is not None and _is_about_trust(data.conn.error):
            self.interception.note_broken(endpoint)
            self._counts["registries without trust"] += 1
            logger.warning("%s: left alone for 5 minutes: %s", endpoint, data.conn.error)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Lead a mirror's request to its registry; mark what is none of ours."""
        if _lead_to_registry(flow):
            flow.metadata[MIRRORED] = True
        endpoint = endpoint_of(flow)
        if MIRRORED not in flow.metadata and not self.interception.includes(endpoint):
            flow.metadata[NOT_OURS] = True
        elif recognise(flow.request.method, flow.request.path):
            self.interception.note_manifest(endpoint, flow.request.host)


def _tls_endpoint(context: Context) -> Endpoint | None:
    """What a client connects to by TLS; None for a mirror of ours, which it meant itself."""
    address = context.server.address
    if address is None or isinstance(context.client.proxy_mode, ReverseMode):
        return None
    return Endpoint((context.client.sni or address[0]).lower(), address[1])


def _is_about_trust(error: str | None) -> bool:
    return any(sign in (error or "") for sign in _TRUST_ERRORS)


def _lead_to_registry(flow: http.HTTPFlow) -> bool:
    """Send what this host's containerd asks of a mirror to the registry that it names.

    False where the request does not come to a mirror, or from elsewhere: the proxy must
    not be a way to any host for others.
    """
    if not isinstance(flow.client_conn.proxy_mode, ReverseMode) or not is_local(flow):
        return False
    place = registry_of(flow.request.query.get("ns", ""))
    if place is None:
        return False
    if place != (flow.request.host, flow.request.port):
        flow.request.scheme = "https"
        flow.request.host, flow.request.port = place
    return True
