"""An address at which a host answers, where the one that a client chose does not.

A redirect answers for every address at once, so that clients, who would have tried the
host's next one (RFC 8305), take the first. Then the trying is ours.
"""

import asyncio
import socket
import time
from collections.abc import Callable

from cachetools import TTLCache

_SECONDS = 1.0
# For all addresses of a name together: less than clients wait for TLS (10 s).
_SECONDS_FOR_ALL = 6.0
_DELAY = 0.25  # RFC 8305, 8, recommended
_KNOWN_SECONDS = 60.0


class Reachability:
    """Knows for a minute what it found. `timer` gives seconds that only grow."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        # By the name, too: what one client's name led to must not serve another's.
        self._known: TTLCache[tuple[str, int, str], str] = TTLCache(4096, _KNOWN_SECONDS, timer)

    async def address_for(self, address: str, port: int, name: str) -> str:
        """The address itself if it answers, else another of the host's name (empty: unknown).

        Raises OSError (TimeoutError is one) if none answers.
        """
        key = (address, port, name)
        known = self._known.get(key)
        if known is not None:
            return known
        try:
            found = await _connect(address, port, _SECONDS)
        except OSError:
            if not name or name == address:
                raise
            found = await _connect(name, port, _SECONDS_FOR_ALL)
        self._known[key] = found
        return found

    def forget(self, address: str, port: int) -> None:
        """What was found has failed since."""
        for key in [
            key for key, found in self._known.items() if (found, key[1]) == (address, port)
        ]:
            self._known.pop(key, None)


async def _connect(host: str, port: int, seconds: float) -> str:
    """The address of a host that was the first to answer."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port, happy_eyeballs_delay=_DELAY)
    except UnicodeError as error:
        raise OSError("its name can't be looked up") from error
    address: str = writer.get_extra_info("peername")[0]
    writer.close()
    return address


async def look_up(host: str, port: int, seconds: float = 5.0) -> list[str]:
    """The addresses of a host; none if they cannot be had in time."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(seconds):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]
