"""Guessing passwords made slow: each wrong one makes the next try wait longer."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from cachetools import TTLCache

FREE_TRIES = 3
FREE_TRIES_OF_ADDRESS = 20
MAX_WAIT = 60.0
# So long after its last wrong password, an address or a user is as good as new.
_FORGOTTEN_SECONDS = 900.0
_KEPT = 16384
_MAX_USER = 256
_V6_PREFIX = 64


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    until: float


class LoginThrottle:
    """Who has to wait, by address and user and by address alone.

    The users of one address are counted apart from each other and together, so that
    neither many passwords for one user nor one password for many users go fast. An IPv6
    client has at least a /64 to choose addresses from, so that counts as one. `timer` is a
    monotonic clock in seconds. Bounded; the longest unused is forgotten first.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._users: TTLCache[tuple[str, str], _Failures] = TTLCache(
            _KEPT, _FORGOTTEN_SECONDS, timer
        )
        self._addresses: TTLCache[str, _Failures] = TTLCache(_KEPT, _FORGOTTEN_SECONDS, timer)

    def wait(self, address: str, user: str) -> float:
        """Seconds until the next password of a user from an address may be judged; 0: now."""
        place = _place(address)
        found = (self._users.get((place, user[:_MAX_USER])), self._addresses.get(place))
        now = self._timer()
        return max(0.0, *(failures.until - now if failures else 0.0 for failures in found))

    def failed(self, address: str, user: str) -> None:
        """A password was wrong."""
        place = _place(address)
        key = place, user[:_MAX_USER]
        self._users[key] = self._next(self._users.get(key), FREE_TRIES)
        self._addresses[place] = self._next(self._addresses.get(place), FREE_TRIES_OF_ADDRESS)

    def succeeded(self, address: str, user: str) -> None:
        """A password was right: the user's count starts anew.

        Not the address': who has an account would else guess the others' for ever.
        """
        self._users.pop((_place(address), user[:_MAX_USER]), None)

    def _next(self, failures: _Failures | None, free: int) -> _Failures:
        count = failures.count + 1 if failures else 1
        # Beyond MAX_WAIT the power is of no use, and one without bounds no float.
        seconds = min(MAX_WAIT, 2.0 ** min(count - free, 16)) if count >= free else 0.0
        return _Failures(count, self._timer() + seconds)


def _place(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:_MAX_USER]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{int(parsed) >> _V6_PREFIX:x}::/{_V6_PREFIX}"
    return str(parsed)
