"""Guessing passwords made slow: each wrong one makes the next try wait longer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from metahub_addon.places import place_of, site_of

FREE_TRIES = 3
FREE_TRIES_OF_PLACE = 20
# A site has 65,536 places, of which each has its own free tries.
FREE_TRIES_OF_SITE = 10 * FREE_TRIES_OF_PLACE
MAX_WAIT = 60.0
# So long after its last wrong password, a place or a user is as good as new.
FORGOTTEN_SECONDS = 900.0
_KEPT = 16384
_MAX_USER = 256


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    until: float


class _Counts:
    """Wrong passwords by a key, and until when the next one must wait; bounded.

    The longest unused are forgotten first.
    """

    def __init__(self, free: int, timer: Callable[[], float]) -> None:
        self._free = free
        self._timer = timer
        self._failures: TTLCache[tuple[str, ...], _Failures] = TTLCache(
            _KEPT, FORGOTTEN_SECONDS, timer
        )

    def __len__(self) -> int:
        return len(self._failures)

    def wait(self, key: tuple[str, ...]) -> float:
        failures = self._failures.get(key)
        return failures.until - self._timer() if failures else 0.0

    def add(self, key: tuple[str, ...]) -> bool:
        """Count one; True if that is the first after which the next must wait."""
        failures = self._failures.get(key)
        count = failures.count + 1 if failures else 1
        # Beyond MAX_WAIT the power is of no use, and one without bounds no float.
        power = 2.0 ** min(count - self._free, 16)
        seconds = min(MAX_WAIT, power) if count >= self._free else 0.0
        self._failures[key] = _Failures(count, self._timer() + seconds)
        return count == self._free

    def forget(self, key: tuple[str, ...]) -> None:
        self._failures.pop(key, None)


class LoginThrottle:
    """Who has to wait, by place and user, by place alone, and by site alone.

    The users of one place are counted apart from each other and together, so that
    neither many passwords for one user nor one password for many users go fast. `timer` is
    a monotonic clock in seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._users = _Counts(FREE_TRIES, timer)
        self._places = _Counts(FREE_TRIES_OF_PLACE, timer)
        self._sites = _Counts(FREE_TRIES_OF_SITE, timer)

    def wait(self, address: str, user: str) -> float:
        """Seconds until the next password of a user from an address may be judged; 0: now."""
        return max(0.0, *(counts.wait(key) for counts, key in self._levels(address, user)))

    def failed(self, address: str, user: str) -> Sequence[str]:
        """A password was wrong. The result names whoever has to wait from now on."""
        levels = self._levels(address, user)
        return [" from ".join(reversed(key)) for counts, key in levels if counts.add(key)]

    def succeeded(self, address: str, user: str) -> None:
        """A password was right: the user's count starts anew.

        Not the place's: who has an account would else guess the others' for ever.
        """
        counts, key = self._levels(address, user)[0]
        counts.forget(key)

    def _levels(self, address: str, user: str) -> Sequence[tuple[_Counts, tuple[str, ...]]]:
        place, site = place_of(address), site_of(address)
        levels: list[tuple[_Counts, tuple[str, ...]]] = [
            (self._users, (place, user[:_MAX_USER])),
            (self._places, (place,)),
        ]
        return levels if site == place else [*levels, (self._sites, (site,))]
