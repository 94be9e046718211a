"""Tell hosts of this machine and of private networks from those of the internet.

What a server names (a token's realm, a redirect) must not lead a hub to places that only
the hub can reach: its own ports, its network's, a cloud's metadata service.
"""

import re
from collections.abc import Iterable
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network, ip_address

# 'Ends in a number' (WHATWG URL, host parsing): what the C library takes for an IPv4
# address, also as 127.1, 2130706433 or 0x7f.0.0.1.
_NAME = re.compile(r"[a-z0-9._-]*")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
# RFC 6052: the last 32 bits are the IPv4 address that a gateway connects to.
_NAT64 = IPv6Network("64:ff9b::/96")
# RFC 6761, 6762 and 8375, and what clouds and Kubernetes use: names of no public server.
_LOCAL_SUFFIXES = (".local", ".internal", ".localhost", ".svc", ".cluster.local", ".home.arpa")


class Kind(Enum):
    """Whose an address is: everybody's, a site's, a link's (a cloud's metadata), or our own."""

    PUBLIC = "public"
    PRIVATE = "private"
    LINK = "link"
    OWN = "own"


# Where a server of a kind may lead. Nobody but a link's own servers leads to a link's.
_LEADS_TO = {
    Kind.PUBLIC: {Kind.PUBLIC},
    Kind.PRIVATE: {Kind.PUBLIC, Kind.PRIVATE},
    Kind.LINK: {Kind.PUBLIC, Kind.LINK},
    Kind.OWN: {Kind.PUBLIC, Kind.PRIVATE, Kind.OWN},
}


def may_lead(leader: str, host: str, addresses: Iterable[str]) -> bool:
    """True if the server at an address may send us to a host that has these addresses.

    None of them may be nearer to us than the leader's own. A name that only has a meaning
    here (`intranet`, `vault.internal`) is for leaders that are not public to name.
    """
    kind = kind_of(leader)
    if kind is Kind.PUBLIC and _is_local_name(host):
        return False
    return all(kind_of(address) in _LEADS_TO[kind] for address in addresses)


def kind_of(address: str) -> Kind:
    """Whose an address is; what is none counts as public."""
    try:
        parsed = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return Kind.PUBLIC
    inner = _inner(parsed)
    if inner.is_loopback or inner.is_unspecified:
        return Kind.OWN
    if inner.is_link_local or inner.is_multicast:
        return Kind.LINK
    return Kind.PUBLIC if inner.is_global else Kind.PRIVATE


def _is_local_name(host: str) -> bool:
    host = host.lower().rstrip(".")
    return not re.search(r"[.:]", host) or host.endswith(_LOCAL_SUFFIXES)


def is_local_host(host: str) -> bool:
    """True for `localhost` and for an address, in any notation, that is not a public one.

    A name, in ASCII, is not looked up: it may be one of anything. What is neither name nor
    address counts as local, as others may read it so.
    """
    host = host.lower().strip("[]").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        if ":" in host:
            return not _is_public(IPv6Address(host.partition("%")[0]))
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return not _is_public(IPv4Address(host))
    except AddressValueError:
        return True  # a notation that only hides an address
    return _NAME.fullmatch(host) is None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    inner = _inner(address)
    return inner.is_global and not inner.is_multicast


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one leads to; else itself."""
    if not isinstance(address, IPv6Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
