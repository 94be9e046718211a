"""mitmproxy hooks: intercept what may ask for manifests, leave all else alone end to end."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from mitmproxy import ctx, exceptions, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.mode_specs import ReverseMode, TransparentMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from metahub_addon.flow_repository import (
    HUB,
    MIRRORED,
    NOT_OURS,
    endpoint_of,
    is_local,
    is_vouched_for,
)
from metahub_addon.interception import Endpoint, Interception
from metahub_addon.own_connections import read_connections
from metahub_addon.reachability import Reachability, look_up
from metahub_addon.registries import InvalidRegistry, layers_ports, parse_registries
from metahub_addon.registry import recognise, registry_of
from metahub_addon.socket_table import owner_of

logger = logging.getLogger("metahub")

_LOOK_UP_SECONDS = 1800.0
_OPTIONS = frozenset({"metahub_registries", "metahub_layers_port"})
# How TLS says that a client does not trust us, and that a line went down.
_DISTRUST = ("does not trust", "alert", "unknown ca", "bad certificate")
_LINE_DOWN = ("closed", "eof", "reset", "timed out", "timeout", "disconnected")


class Signal(Protocol):
    """How the firewall is asked to leave an address alone."""

    def __call__(self, address: str, briefly: bool = False) -> None:
        """For ten minutes, or one."""


class Interceptor:
    """Decides what is intercepted, and marks the flows that are none of ours.

    `counts` is the addon's; `signal` asks the firewall to leave an address alone.
    """

    def __init__(self, counts: Counter[str], signal: Signal) -> None:
        self._counts = counts
        self._signal = signal
        self.interception = Interception(parse_registries(()))
        self.layers_ports: dict[int, int] = {}
        self._reachability = Reachability()
        self._look_ups: asyncio.Task[None] | None = None

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
        if self._look_ups is not None:
            self.running()

    def running(self) -> None:
        """Begin to look up where the named registries are."""
        self.done()
        self._look_ups = asyncio.get_running_loop().create_task(self._look_up_for_ever())

    def done(self) -> None:
        """Look up no more."""
        if self._look_ups is not None:
            self._look_ups.cancel()

    async def _look_up_for_ever(self) -> None:
        while True:
            # Only a redirected connection tells no name, and can be let past by its address.
            if any(mode.startswith("transparent") for mode in ctx.options.mode):
                for endpoint in self.interception.named:
                    for address in await look_up(endpoint.host, endpoint.port):
                        self.interception.note_address(address)
            await asyncio.sleep(_LOOK_UP_SECONDS)

    def let_past(self, endpoint: Endpoint, address: str) -> None:
        """Have the firewall leave an address alone, if there is nothing for us there."""
        if self.interception.may_pass(endpoint, address):
            self._signal(address)

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Leave a connection alone, end to end, that has nothing for us."""
        endpoint = _tls_endpoint(data.context)
        if endpoint is None:
            return
        reason = self.interception.leave(endpoint, lambda: _owner(data.context))
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
        if endpoint is None or not _says(data.conn.error, _DISTRUST):
            return
        owner = _owner(data.context)
        left = self.interception.note_distrust(endpoint, owner)
        self._counts["clients without trust"] += 1
        what = "left alone for 5 minutes" if left else "others do, so it stays intercepted"
        who = "a client" if owner is None else f"a client of user {owner}"
        logger.warning("%s: %s does not trust the proxy's CA: %s", endpoint, who, what)

    def tls_failed_server(self, data: tls.TlsData) -> None:
        """Leave a registry alone whose TLS we can't take: clients may, and can try."""
        endpoint = _tls_endpoint(data.context)
        if endpoint is None or _says(data.conn.error, _LINE_DOWN):
            return
        seconds = self.interception.note_broken(endpoint)
        self._counts["registries without trust"] += 1
        logger.warning("%s: left alone for %.0f s: %s", endpoint, seconds, data.conn.error)

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Connect to an address that answers: a redirected client can't look for it itself."""
        address = data.server.address
        if address is None or not isinstance(data.client.proxy_mode, TransparentMode):
            return
        try:
            found = await self._reachability.address_for(*address[:2], data.client.sni or "")
        except OSError as error:
            data.server.error = f"no address answers: {str(error) or type(error).__name__}"
        else:
            data.server.address = (found, address[1])

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        """Let clients find out for themselves, for a while, what an address is good for."""
        address = data.server.address
        if address is not None and isinstance(data.client.proxy_mode, TransparentMode):
            self._reachability.forget(*address[:2])
            self._signal(address[0], briefly=True)

    def response(self, flow: http.HTTPFlow) -> None:
        """Note that the registry answers, where the answer is its own."""
        if HUB in flow.metadata:
            return
        if flow.server_conn.timestamp_start is not None:
            self.interception.note_answer(endpoint_of(flow))

    def error(self, flow: http.HTTPFlow) -> None:
        """Note a registry that has not answered; what the client broke off is no fault of its."""
        if HUB in flow.metadata:
            return
        message = flow.error.msg if flow.error else ""
        endpoint = endpoint_of(flow)
        if flow.response is not None or "client" in message.lower() or not is_vouched_for(flow):
            return
        if not self.interception.is_left(endpoint):
            seconds = self.interception.note_silence(endpoint)
            self._counts["requests without an answer"] += 1
            logger.warning("%s: left alone for %.0f s: %s", endpoint, seconds, message)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Lead a mirror's request to its registry; mark what is none of ours."""
        if HUB in flow.metadata:
            return
        if _lead_to_registry(flow):
            flow.metadata[MIRRORED] = True
        endpoint = endpoint_of(flow)
        if MIRRORED not in flow.metadata and not self.interception.includes(endpoint):
            flow.metadata[NOT_OURS] = True
        elif is_vouched_for(flow) and recognise(flow.request.method, flow.request.path):
            self.interception.note_manifest(endpoint, flow.request.host)


def _tls_endpoint(context: Context) -> Endpoint | None:
    """What a client connects to by TLS; None for a mirror of ours, which it meant itself."""
    address = context.server.address
    if address is None or isinstance(context.client.proxy_mode, ReverseMode):
        return None
    return Endpoint((context.client.sni or address[0]).lower(), address[1])


def _says(error: str | None, signs: Sequence[str]) -> bool:
    return any(sign in (error or "").lower() for sign in signs)


def _owner(context: Context) -> int | None:
    """The user whose connection it is, if that is on this host."""
    return owner_of(read_connections(), context.client.peername[:2])


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
