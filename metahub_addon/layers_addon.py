"""mitmproxy hooks: layers take the fastest way that works to a client."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

from cachetools import LRUCache, TTLCache
from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.proxy.mode_specs import ReverseMode, TransparentMode

from metahub_addon.answer import Answer, layer_at, layer_not_here
from metahub_addon.bypass import Bypass, Client, Offer, Part, Way
from metahub_addon.clients import PULLING_AS_USER, RELAYED_CLIENTS, is_named
from metahub_addon.flow_repository import (
    HUB,
    MIRRORED,
    NOT_OURS,
    endpoint_of,
    is_local,
    is_vouched_for,
    repository_of,
)
from metahub_addon.http_fetcher import REDIRECTS, HttpFetcher
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.interception import Endpoint
from metahub_addon.interception_addon import Interceptor
from metahub_addon.manifest import config_digest
from metahub_addon.own_connections import read_connections
from metahub_addon.reachability import look_up
from metahub_addon.registry import BlobRequest, recognise, recognise_blob
from metahub_addon.relay import Order, Relay
from metahub_addon.socket_table import is_connected, owner_of
from metahub_addon.upstream import FetchError, Repository

logger = logging.getLogger("metahub")

_BLOB = "metahub_blob"
# A way that needs longer to say whether it is one is not worth the client's waiting.
_QUESTION_SECONDS = 1.5
_RESOLVE_SECONDS = 0.5
_RESOLVED_FOR = 60.0
_ASKED = ("Host", "Authorization", "User-Agent", "Accept", "Range", "If-Range")


class Layers:
    """Sends clients another way for layers. `fetcher` gives the addon's way to registries."""

    def __init__(
        self,
        counts: Counter[str],
        interceptor: Interceptor,
        fetcher: Callable[[], HttpFetcher],
    ) -> None:
        self._counts = counts
        self._interceptor = interceptor
        self._fetcher = fetcher
        self._bypass = Bypass()
        self._relay: Relay | None = None
        self._configs: LRUCache[str, bool] = LRUCache(4096)
        self._resolved: TTLCache[Endpoint, bool] = TTLCache(1024, _RESOLVED_FOR)

    def load(self, loader: Loader) -> None:
        """Declare the option."""
        loader.add_option(
            "metahub_relay_port",
            int,
            0,
            "Port on loopback that copies layers for clients with credentials. 0: off.",
        )

    def configure(self, updated: set[str]) -> None:
        """Open the relay's port; raises OptionsError if it is taken."""
        if "metahub_relay_port" in updated:
            self._configure_relay(ctx.options.metahub_relay_port)
        if updated & {"metahub_layers_port", "metahub_registries"}:
            self._bypass = Bypass()

    def _configure_relay(self, port: int) -> None:
        if self._relay is not None and self._relay.port == port:
            return  # mitmproxy comes back to it after an error
        try:
            relay = Relay(port, lambda name: self._fetcher().context_for(name)) if port else None
        except (OSError, OverflowError) as error:
            raise exceptions.OptionsError(f"metahub_relay_port: {port}: {error}") from None
        self.done()
        self._relay = relay

    def done(self) -> None:
        """Close the relay's port."""
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer a request for a layer with the way to it, if there is one but through us."""
        if HUB in flow.metadata:
            return
        blob = recognise_blob(flow.request.method, flow.request.path)
        if blob is None or NOT_OURS in flow.metadata:
            return
        endpoint = endpoint_of(flow)
        answer = None
        if MIRRORED in flow.metadata:
            # A mirror's client turns to the registry itself for what the mirror has not.
            self._counts["layers left to the registry"] += 1
            answer = layer_not_here(blob.digest)
        elif is_local(flow) and blob.digest not in self._configs:
            answer = await self._answer(flow, blob, endpoint)
        if answer is None:
            flow.metadata[_BLOB] = endpoint
        else:
            flow.request.stream = False
            flow.response = http.Response.make(answer.status, answer.body, {**answer.headers})

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Learn which hosts only serve layers, and which blobs are configurations."""
        if HUB in flow.metadata:
            return
        assert flow.response
        registry = flow.metadata.get(_BLOB)
        if isinstance(registry, Endpoint):
            if flow.response.status_code in REDIRECTS:
                await self._learn(flow, registry)
        elif flow.response.stream is True and _may_be_manifest(flow):
            flow.response.stream = self._look_for_config()

    def response(self, flow: http.HTTPFlow) -> None:
        """Note the configuration of a manifest that was answered from what is at hand."""
        if HUB in flow.metadata:
            return
        assert flow.response
        if recognise(flow.request.method, flow.request.path) and not flow.response.stream:
            self._note_config(flow.response.raw_content or b"")

    def _look_for_config(self) -> Callable[[bytes], bytes]:
        """A stream that passes all on and remembers it till the end."""
        seen = bytearray()

        def pass_on(chunk: bytes) -> bytes:
            if chunk and len(seen) <= MAX_MANIFEST_BYTES:
                seen.extend(chunk)
            elif not chunk:
                self._note_config(bytes(seen))
            return chunk

        return pass_on

    def _note_config(self, body: bytes) -> None:
        if digest := config_digest(body):
            self._configs[digest] = True

    async def _learn(self, flow: http.HTTPFlow, registry: Endpoint) -> None:
        host = _layers_host(flow)
        if host is None or not is_vouched_for(flow):
            return
        if self._interceptor.interception.note_layers(registry, host):
            logger.debug("%s sends to %s for layers", registry, host)
        if isinstance(flow.client_conn.proxy_mode, TransparentMode):
            await self._resolve(host)

    async def _answer(
        self, flow: http.HTTPFlow, blob: BlobRequest, endpoint: Endpoint
    ) -> Answer | None:
        """The answer that sends a client another way; None: through mitmproxy."""
        client = _client(flow)
        repository = repository_of(flow, blob.name, blob.namespace)
        past = self._past(flow, endpoint)
        offers = self._offers(flow, repository, blob.digest, past)
        part = Part(blob.digest, flow.request.headers.get("Range", ""))
        way = await self._bypass.choose(client, endpoint, part, offers)
        self._counts[f"layers {way.value}"] += 1
        if way is Way.BACK:
            logger.info("%s: %s came back for %s", endpoint, client.product, blob)
        if way is Way.PAST and past:
            location = f"{flow.request.scheme}://{past}{flow.request.path}"
            return layer_at(location, blob.digest)
        if way is Way.RELAY and self._relay:
            headers = {name: _bytes(flow.request.headers[name]) for name in _asked(flow)}
            order = Order(repository.registry, flow.request.path, headers)
            return layer_at(self._relay.ticket(order), blob.digest)
        return None

    def _past(self, flow: http.HTTPFlow, endpoint: Endpoint) -> Endpoint | None:
        """Where the firewall sends on to the registry's own port, if it does."""
        port = self._interceptor.layers_ports.get(flow.request.port)
        if port is None or isinstance(flow.client_conn.proxy_mode, ReverseMode):
            return None
        return Endpoint(endpoint.host, port)

    def _offers(
        self,
        flow: http.HTTPFlow,
        repository: Repository,
        digest: str,
        past: Endpoint | None,
    ) -> list[Offer]:
        """The ways that a layer could take, the fastest first."""
        if repository.registry.via:
            return []
        offers = []
        # Clients do not take their credentials to another port (Go; dockerd in any version).
        if past and not repository.authorization:
            there = replace(repository.registry, port=past.port, authority=str(past))
            asked = replace(repository, registry=there)
            layers_port = past.port
            offers.append(
                Offer(
                    Way.PAST,
                    ask=lambda: self._serves(asked, digest),
                    is_in_use=lambda: is_connected(read_connections(), layers_port),
                )
            )
        if self._relay and self._relay.has_room and _reaches_loopback(flow):
            offers.append(
                Offer(
                    Way.RELAY,
                    ask=lambda: self._serves(repository, digest),
                    is_in_use=lambda: False,
                )
            )
        return offers

    async def _serves(self, repository: Repository, digest: str) -> bool | None:
        """Twice if need be: a kept connection may have ended just now."""
        for is_last in (False, True):
            try:
                async with asyncio.timeout(_QUESTION_SECONDS):
                    return await self._fetcher().serves(repository, digest)
            except (FetchError, TimeoutError) as error:
                if is_last:
                    what = f"{repository.registry.authority}: layers can't go this way"
                    logger.warning("%s: %s", what, str(error) or "no answer in time")
        return False

    async def _resolve(self, endpoint: Endpoint) -> None:
        """Let a layer host's addresses past before the client connects to them."""
        if endpoint in self._resolved:
            return
        self._resolved[endpoint] = True
        for address in await look_up(endpoint.host, endpoint.port, _RESOLVE_SECONDS):
            self._interceptor.let_past(endpoint, address)


def _reaches_loopback(flow: http.HTTPFlow) -> bool:
    """True for clients that follow to our loopback, and whose loopback it is.

    A rootless daemon has this host's address, and a loopback of its own; podman pulls
    as the user that calls it.
    """
    agent = flow.request.headers.get("User-Agent", "")
    if not is_named(agent, RELAYED_CLIENTS):
        return False
    peer = flow.client_conn.peername[:2]
    return is_named(agent, PULLING_AS_USER) or owner_of(read_connections(), peer) == 0


def _client(flow: http.HTTPFlow) -> Client:
    product = flow.request.headers.get("User-Agent", "").partition("/")[0][:99]
    return Client(flow.client_conn.peername[0], product)


def _may_be_manifest(flow: http.HTTPFlow) -> bool:
    request = recognise(flow.request.method, flow.request.path)
    return request is not None and request.method == "GET"


def _asked(flow: http.HTTPFlow) -> set[str]:
    """What a registry needs to know of a request for a layer."""
    return {name for name in _ASKED if name in flow.request.headers}


def _bytes(header: str) -> bytes:
    return header.encode("utf-8", "surrogateescape")  # as mitmproxy decodes it


def _layers_host(flow: http.HTTPFlow) -> Endpoint | None:
    """Where an answer sends for a layer; None for another registry or nowhere."""
    assert flow.response
    location = flow.response.headers.get("Location", "")
    try:
        parts = urlsplit(urljoin(flow.request.pretty_url, location))
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname or parts.path.startswith("/v2/"):
        return None
    return Endpoint(parts.hostname, port or (80 if parts.scheme == "http" else 443))
