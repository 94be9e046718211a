"""Who is at the other end of a request to the page, and whether others could read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from metahub_addon.hub_request import Way, client_address, is_encrypted, is_private_way


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The client: its address as text, and whether passwords may be sent this way.

    `encrypted` says that the browser itself speaks TLS, so that cookies can be bound to it.
    """

    address: str
    private: bool
    encrypted: bool


def read_peer(way: Way, trusted: Sequence[IPv4Network | IPv6Network]) -> Peer:
    """Believe a trusted proxy's headers, and nobody else's."""
    return Peer(
        address=client_address(way.peer, way.forwarded_for, trusted),
        private=is_private_way(way, trusted),
        encrypted=is_encrypted(way, trusted),
    )
