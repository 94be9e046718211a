"""Wrong logins told to who reads the log, at no more lines than that needs."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cachetools import TTLCache

from metahub_addon.places import place_of
from metahub_addon.printable import printable

logger = logging.getLogger(__name__)

MANY = 50
_MANY_SECONDS = 900.0
_AGAIN_SECONDS = 60.0
_KEPT = 16384
_SHOWN = 64


@dataclass(slots=True)
class _Tries:
    count: int = 0


class LoginLog:
    """Tells of wrong logins, and of accounts whose passwords are guessed; bounded.

    Accounts are as they were sent, be they there or not. `timer` is a monotonic clock in
    seconds.
    """

    def __init__(self, timer: Callable[[], float]) -> None:
        self._told: TTLCache[tuple[str, str], bool] = TTLCache(_KEPT, _AGAIN_SECONDS, timer)
        self._tries: TTLCache[str, _Tries] = TTLCache(_KEPT, _MANY_SECONDS, timer)

    def refused(self, address: str, account: str, user: str) -> None:
        """A login as a user was wrong: a line a minute for an account and where it came from."""
        key = place_of(address), account
        if key not in self._told:
            self._told[key] = True
            logger.info("login refused for %s from %s", _shown(user), _shown(address))

    def guessed(self, account: str, slowed: Sequence[str]) -> None:
        """A new password was wrong; `slowed` names whoever has to wait from now on."""
        for whom in slowed:
            said = "%s: too many wrong passwords, logins have to wait"
            logger.warning(said, printable(whom))
        tries = self._tries.get(account)
        if tries is None:  # it stays as old as the first of them
            tries = self._tries[account] = _Tries()
        tries.count += 1
        if tries.count == MANY + 1:
            said = "%s: more than %d wrong passwords in %d minutes, wherever from"
            logger.warning(said, _shown(account), MANY, _MANY_SECONDS // 60)


def _shown(text: str) -> str:
    return printable(text[:_SHOWN]) or "-"
