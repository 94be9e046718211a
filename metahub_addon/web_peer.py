"""Who is at the other end of a request to the page, and whether others could read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from metahub_addon.hub_request import client_address, is_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a request came: from which address, by TLS, and what forwarders said of it.

    `forwarded_for` and `forwarded_proto` are X-Forwarded-For and X-Forwarded-Proto (empty:
    not there); `forwarded` tells whether any header of a forwarder is there.
    """

    address: str
    tls: bool
    forwarded_for: str = ""
    forwarded_proto: str = ""
    forwarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The client: its address as text, and whether passwords may be sent this way.

    `encrypted` says that the browser itself speaks TLS, so that cookies can be bound to it.
    """

    address: str
    private: bool
    encrypted: bool


def read_peer(way: Way, trusted: Sequence[IPv4Network | IPv6Network]) -> Peer:
    """Believe a trusted proxy's headers, and nobody else's.

    Plain HTTP is private on loopback only, and there not if it was forwarded: then a proxy
    that nobody named stands between.
    """
    address = client_address(way.address, way.forwarded_for, trusted)
    if way.forwarded and is_within(way.address, trusted):
        encrypted = way.forwarded_proto.strip().lower() == "https"
        return Peer(address=address, private=encrypted, encrypted=encrypted)
    local = bool(address) and ip_address(address).is_loopback and not way.forwarded
    return Peer(address=address, private=way.tls or local, encrypted=way.tls)
