"""Which TLS connections are intercepted, and which are left alone end to end, and why.

A connection is taken only where a manifest may be asked for; whoever it would break
for is left alone, so that the next try of a pull succeeds without us.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cachetools import LRUCache, TTLCache

from metahub_addon.registries import Registries

_HOSTS = 4096
# A registry changes the host of its layers rarely, and says so with each redirect.
_LAYERS_SECONDS = 3600.0
# After a failure of trust: long enough for the runtime's retries, short enough to mend.
_LEFT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The host that a client named (SNI, CONNECT or Host; else the address), and the port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Interception:
    """What is known of endpoints. `layers_ports` are those the firewall lets layers past on."""

    def __init__(
        self,
        registries: Registries,
        layers_ports: Collection[int] = (),
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registries = registries
        self._layers_ports = frozenset(layers_ports)
        self._serves_manifests: LRUCache[Endpoint, bool] = LRUCache(_HOSTS)
        self._serves_layers: TTLCache[Endpoint, bool] = TTLCache(_HOSTS, _LAYERS_SECONDS, timer)
        self._addresses: LRUCache[str, bool] = LRUCache(_HOSTS)
        self._trusted: LRUCache[Endpoint, bool] = LRUCache(_HOSTS)
        self._left: TTLCache[Endpoint, str] = TTLCache(_HOSTS, _LEFT_SECONDS, timer)

    def includes(self, endpoint: Endpoint) -> bool:
        """True for a registry whose indexes are answered for."""
        return self._registries.include(endpoint.host, endpoint.port)

    def leave(self, endpoint: Endpoint) -> str:
        """Why a TLS connection is left alone; empty: intercept it."""
        if endpoint.port in self._layers_ports:
            return "its layers go past"
        if not self.includes(endpoint):
            return "not in metahub_registries"
        if endpoint in self._serves_layers:
            return "serves layers only"
        return self._left.get(endpoint, "")

    def may_pass(self, endpoint: Endpoint, address: str) -> bool:
        """True for an address of a host that serves layers only, where no registry was seen."""
        return endpoint in self._serves_layers and address not in self._addresses

    def note_manifest(self, endpoint: Endpoint, address: str) -> None:
        """A manifest was asked for here: this is a registry, whatever else it serves."""
        self._serves_manifests[endpoint] = True
        self._addresses[address] = True
        self._serves_layers.pop(endpoint, None)

    def note_layers(self, registry: Endpoint, endpoint: Endpoint) -> bool:
        """A registry has sent a client to an endpoint for a layer; True if that was news."""
        if endpoint.host == registry.host or endpoint in self._serves_manifests:
            return False
        known = endpoint in self._serves_layers
        self._serves_layers[endpoint] = True
        return not known

    def note_trust(self, endpoint: Endpoint) -> None:
        """A client has accepted our certificate for an endpoint."""
        self._trusted[endpoint] = True

    def note_distrust(self, endpoint: Endpoint) -> bool:
        """A client has refused our certificate; True if the endpoint is now left alone.

        Where others have accepted it, the fault is that client's: what it says must not
        take the right image from them.
        """
        if endpoint in self._trusted:
            return False
        self._left[endpoint] = "a client does not trust the proxy's CA"
        return True

    def note_broken(self, endpoint: Endpoint) -> None:
        """TLS with the registry failed: clients, who may know better, shall try themselves."""
        self._left[endpoint] = "TLS with the registry failed"
