"""Which addresses are this host's: only those can a socket be bound to."""

import socket

from cachetools import TTLCache, cached


@cached(TTLCache(1024, ttl=60))
def is_own_address(address: str) -> bool:
    """True for an address of this host (and network namespace); addresses may come and go."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
