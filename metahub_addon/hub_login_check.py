"""Whether a user and password are right, with those slowed down who guess."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cachetools import LRUCache

from metahub_addon.hub_config import HubConfig
from metahub_addon.login_throttle import LoginThrottle
from metahub_addon.passwords import Passwords
from metahub_addon.type_selection import Login, read_login

_LOGINS = 1024
_MAX_NAME = 256
# More than wait for one account from one address are no fleet of machines.
_MAX_WAITING = 256
_BUSY_SECONDS = 5.0


class LoginRefused(Exception):
    """A login that is wrong, or may not be tried before some `seconds` (0: at once)."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


class LoginCheck:
    """Judges logins; what was right is known for a while, what was wrong costs time."""

    def __init__(self, passwords: Passwords, throttle: LoginThrottle) -> None:
        self._passwords = passwords
        self._throttle = throttle
        self._config: HubConfig | None = None
        self._logins: LRUCache[str, Login | None] = LRUCache(_LOGINS)
        self._turns: dict[tuple[str, str], list[asyncio.Lock]] = {}

    async def check(self, config: HubConfig, user: str, password: str, address: str) -> Login:
        """Who logs in with a name and a password from an address; raises LoginRefused."""
        login = self._read(config, user)
        account = login.account.user if login else ""
        # Counted by what was sent, be there an account or not: else the count would tell.
        counted = re.split("[-/]", user[:_MAX_NAME], maxsplit=1)[0]
        hashed = login.account.password if login else None
        if login and hashed and self._passwords.is_known(account, password, hashed):
            return login
        async with self._turn(address, counted):
            # Who waited for its turn may be known by now: a fleet logs in all at once.
            if login and hashed and self._passwords.is_known(account, password, hashed):
                return login
            seconds = self._throttle.wait(address, counted)
            if seconds > 0:
                raise LoginRefused("too many wrong passwords, try again later", seconds)
            if not await self._passwords.verify(account, password, hashed) or login is None:
                self._throttle.failed(address, counted)
                raise LoginRefused("wrong user or password")
            self._throttle.succeeded(address, counted)
            return login

    def _read(self, config: HubConfig, user: str) -> Login | None:
        if config is not self._config:
            self._config = config
            self._logins.clear()
        if user not in self._logins:
            self._logins[user] = read_login(config, user)
        return self._logins[user]

    @asynccontextmanager
    async def _turn(self, address: str, name: str) -> AsyncIterator[None]:
        """One check at a time for an account from an address: guesses can't run side by side."""
        key = address, name
        turns = self._turns.setdefault(key, [])
        if len(turns) >= _MAX_WAITING:
            raise LoginRefused("too many logins at once, try again later", _BUSY_SECONDS)
        lock = turns[0] if turns else asyncio.Lock()
        turns.append(lock)
        try:
            async with lock:
                yield
        finally:
            turns.pop()
            if not turns:
                self._turns.pop(key, None)
