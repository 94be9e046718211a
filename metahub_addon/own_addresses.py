"""Which addresses are this host's: what it sends to them, it sends from them."""

import socket
from ipaddress import ip_address

from cachetools import TTLCache, cached


@cached(TTLCache(1024, ttl=60))
def is_own_address(address: str) -> bool:
    """True for an address of this host (and network namespace); addresses may come and go."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # sends nothing: it only chooses the source
            source: str = probe.getsockname()[0]
    except OSError:
        return False
    # Any of 127.0.0.0/8 is reached from loopback, and from nowhere else.
    return source == address or ip_address(source).is_loopback
