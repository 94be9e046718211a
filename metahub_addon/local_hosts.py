"""Tell hosts of this machine and of private networks from those of the internet.

What a server names (a token's realm, a redirect) must not lead a hub to places that only
the hub can reach: its own ports, its network's, a cloud's metadata service.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, IPv6Network

# 'Ends in a number' (WHATWG URL, host parsing): what the C library takes for an IPv4
# address, also as 127.1, 2130706433 or 0x7f.0.0.1.
_NAME = re.compile(r"[a-z0-9._-]*")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
# RFC 6052: the last 32 bits are the IPv4 address that a gateway connects to.
_NAT64 = IPv6Network("64:ff9b::/96")


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
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(inner)
    return address.is_global and not address.is_multicast
