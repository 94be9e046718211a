"""Which TLS connections are intercepted, and which are left alone end to end, and why.

A connection is taken only where a manifest may be asked for; whoever it would break
for is left alone, so that the next try of a pull succeeds without us.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from cachetools import LRUCache, TLRUCache, TTLCache

from metahub_addon.registries import HTTPS_PORT, Registries

_HOSTS = 4096
# A registry changes the host of its layers rarely, and says so with each redirect.
_LAYERS_SECONDS = 3600.0
# Long enough for the tries of a client that does not trust us, short enough to mend it.
_DISTRUST_SECONDS = 300.0
# What failed is left alone for the next try, twice as long each time in a row.
_SILENCE_SECONDS = 20.0
_BROKEN_SECONDS = 300.0
_MOST_SECONDS = 24 * 3600.0
_ROOT = 0


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
        self._left: TLRUCache[Endpoint, tuple[str, float]] = TLRUCache(
            _HOSTS, lambda _, left, now: now + left[1], timer
        )
        self._failures: LRUCache[Endpoint, int] = LRUCache(_HOSTS)
        self._distrusted: TTLCache[Endpoint, bool] = TTLCache(_HOSTS, _DISTRUST_SECONDS, timer)
        self._left_to: TTLCache[tuple[Endpoint, int], bool] = TTLCache(
            _HOSTS, _DISTRUST_SECONDS, timer
        )

    def includes(self, endpoint: Endpoint) -> bool:
        """True for a registry whose indexes are answered for."""
        return self._registries.include(endpoint.host, endpoint.port)

    def leave(self, endpoint: Endpoint, owner: Callable[[], int | None]) -> str:
        """Why a TLS connection is left alone; empty: intercept it.

        `owner` tells the number of the user whose connection it is, None: unknown.
        """
        if endpoint.port in self._layers_ports:
            return "its layers go past"
        if not self.includes(endpoint):
            return "not in metahub_registries"
        if endpoint in self._serves_layers:
            return "serves layers only"
        left = self._left.get(endpoint)
        if left is not None:
            return left[0]
        if endpoint in self._distrusted and (endpoint, owner()) in self._left_to:
            return "its user does not trust the proxy's CA"
        return ""

    def may_pass(self, endpoint: Endpoint, address: str) -> bool:
        """True for an address that has nothing for us: of a host for layers, or of no registry.

        Never one where a registry was seen: many a host shares its address with others.
        """
        is_none_of_ours = endpoint in self._serves_layers or not self.includes(endpoint)
        return is_none_of_ours and address not in self._addresses

    @property
    def named(self) -> tuple[Endpoint, ...]:
        """The registries that are named without wildcards."""
        return tuple(
            Endpoint(pattern.host, pattern.port or HTTPS_PORT)
            for pattern in self._registries.patterns
            if not pattern.is_wildcard
        )

    def is_left(self, endpoint: Endpoint) -> bool:
        """True while clients shall try by themselves."""
        return endpoint in self._left

    def note_address(self, address: str) -> None:
        """A registry is at an address."""
        self._addresses[address] = True

    def note_manifest(self, endpoint: Endpoint, address: str) -> None:
        """A manifest was asked for here: this is a registry, whatever else it serves."""
        self._serves_manifests[endpoint] = True
        self.note_address(address)
        self._serves_layers.pop(endpoint, None)

    def note_layers(self, registry: Endpoint, endpoint: Endpoint) -> bool:
        """A registry has sent a client to an endpoint for a layer; True if that was news."""
        is_registry = endpoint in self._serves_manifests or self._registries.name_one(
            endpoint.host, endpoint.port
        )
        if endpoint.host == registry.host or is_registry:
            return False
        known = endpoint in self._serves_layers
        self._serves_layers[endpoint] = True
        return not known

    def note_trust(self, endpoint: Endpoint) -> None:
        """A client has accepted our certificate for an endpoint."""
        self._trusted[endpoint] = True

    def note_distrust(self, endpoint: Endpoint, owner: int | None) -> bool:
        """A user's client has refused our certificate; True if it is now left alone.

        Runtimes are root's. Where one of them has accepted it, a refusal of root's is that
        client's fault: it must not take the right image from the others. Another user's
        refusal counts for that user alone.
        """
        if owner is None or owner == _ROOT:
            if endpoint in self._trusted:
                return False
            self._left[endpoint] = "a client does not trust the proxy's CA", _DISTRUST_SECONDS
        else:
            self._distrusted[endpoint] = True
            self._left_to[(endpoint, owner)] = True
        return True

    def note_broken(self, endpoint: Endpoint) -> float:
        """TLS with the registry failed: clients, who may know better, shall try themselves.

        The seconds for which they do.
        """
        return self._leave(endpoint, "TLS with the registry failed", _BROKEN_SECONDS)

    def note_silence(self, endpoint: Endpoint) -> float:
        """A request got no answer: the client's next try is its own; for how many seconds."""
        return self._leave(endpoint, "the registry gave no answer", _SILENCE_SECONDS)

    def note_answer(self, endpoint: Endpoint) -> None:
        """The registry answers us."""
        self._failures.pop(endpoint, None)

    def _leave(self, endpoint: Endpoint, reason: str, seconds: float) -> float:
        failures = self._failures.get(endpoint, 0)
        self._failures[endpoint] = min(failures + 1, 30)
        seconds = min(seconds * 2**failures, _MOST_SECONDS)
        self._left[endpoint] = reason, seconds
        return seconds
