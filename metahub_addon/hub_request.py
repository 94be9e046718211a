"""What a client of a hub shows in its request: its way here, its address, its login."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from metahub_addon.places import plain_address

_MAX_HOPS = 32
_MAX_LOGIN = 4096
# Any of these says that somebody stands between, whichever of them a forwarder sends.
FORWARDERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via")


@dataclass(frozen=True, slots=True)
class BasicLogin:
    """A name and a password (RFC 7617)."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a request came: from which `peer` (its address), by TLS or not.

    `local` tells that the peer is this very host, `forwarded` that one of FORWARDERS is
    there; `forwarded_for` and `forwarded_proto` are X-Forwarded-For and X-Forwarded-Proto
    (empty: not there).
    """

    peer: str
    tls: bool
    local: bool
    forwarded: bool = False
    forwarded_for: str = ""
    forwarded_proto: str = ""


def is_encrypted(way: Way, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """True if the client itself speaks TLS.

    Behind a trusted proxy that is what the proxy says: TLS from there to here tells nothing
    of the way before. Nobody else is believed.
    """
    if way.forwarded and is_within(way.peer, trusted):
        return way.forwarded_proto.strip().lower() == "https"
    return way.tls


def is_private_way(way: Way, trusted: Sequence[IPv4Network | IPv6Network]) -> bool:
    """True if nobody on the way can read a login: by TLS, or from this very host.

    What was forwarded is not from this host, even if a proxy that nobody named is.
    """
    return is_encrypted(way, trusted) or (way.local and not way.forwarded)


def basic_login(authorization: str) -> BasicLogin | None:
    """Read an Authorization header; None for anything but a well-formed Basic one."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _MAX_LOGIN:
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, colon, password = text.partition(":")
    return BasicLogin(user, password) if colon and user else None


def client_address(peer: str, forwarded: str, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Where a request comes from: what the last trusted proxy of X-Forwarded-For has seen.

    `forwarded` has all lines of the header. Whatever stands before an address that is not
    trusted anyone could have written. An address that is none ends the chain as well.
    """
    address = peer
    for hop in reversed([hop.strip() for hop in forwarded.split(",")][-_MAX_HOPS:]):
        if not is_within(address, trusted) or not _is_address(hop):
            break
        address = hop
    return str(plain_address(address)) if _is_address(address) else ""


def is_within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """True if an address is in one of some networks."""
    if not _is_address(address):
        return False
    found = plain_address(address)
    return any(found in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        plain_address(text)
    except ValueError:
        return False
    return True
