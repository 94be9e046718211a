"""Whether a file that is written in place has come to rest: half of it may parse as well."""

import time
from collections.abc import Callable, Hashable


class Stillness:
    """Sees a file only when asked, and then by what tells one state of it from another.

    `seconds` is how long it must be seen in one state; `timer` a monotonic clock in seconds.
    """

    def __init__(self, seconds: float, timer: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._timer = timer
        self._seen: Hashable = None
        self._since = timer()

    def rests(self, state: Hashable) -> bool:
        """True if a file has been in this state for long enough, each time it was asked about."""
        now = self._timer()
        if state != self._seen:
            self._seen, self._since = state, now
        return now - self._since >= self._seconds
