"""Where clients are, and whose that may be: by what those are counted who have no name."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_PLACE, _SITE = 64, 48
_MAX_TEXT = 256


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """An address; one of IPv4 in IPv6's clothes (a socket for both) as IPv4. Raises ValueError."""
    address = ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


@lru_cache(1024)
def place_of(address: str) -> str:
    """Where a client is, however it chooses its address: an IPv6 client has at least a /64."""
    return _network(address, _PLACE)


@lru_cache(1024)
def site_of(address: str) -> str:
    """Whose a client's place may be: of IPv6, a customer gets up to a /48 (RFC 6177)."""
    return _network(address, _SITE)


def _network(address: str, length: int) -> str:
    try:
        parsed = plain_address(address)
    except ValueError:
        return address[:_MAX_TEXT]
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed), length), strict=False))
    return str(parsed)
