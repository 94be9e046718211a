"""Whether a user and password are right, with those slowed down who guess."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from cachetools import LRUCache, TTLCache

from metahub_addon.hub_config import HubConfig
from metahub_addon.login_log import LoginLog
from metahub_addon.login_throttle import FORGOTTEN_SECONDS, LoginThrottle
from metahub_addon.passwords import Passwords
from metahub_addon.places import place_of, site_of
from metahub_addon.shared_work import SharedWork
from metahub_addon.type_selection import Login, read_login

_LOGINS = 1024
_WRONG = 16384
_MAX_NAME = 256
# More that differ than wait at one site are no fleet of machines.
_MAX_WAITING = 4096
_BUSY_SECONDS = 5.0


class LoginRefused(Exception):
    """A login that is wrong, or may not be tried before some `seconds` (0: at once)."""

    def __init__(self, message: str, seconds: float = 0.0) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Name:
    """A user as it was sent, and what is read in it.

    `counted` is what its wrong passwords count for, `own` the name without a machine type.
    Both are told without a look at accounts: what is counted, or known to be wrong, would
    else tell who has one.
    """

    user: str
    login: Login | None
    counted: str
    own: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Guess:
    """A password for a name, from an address."""

    name: _Name
    address: str
    password: str = field(repr=False)

    @property
    def account(self) -> str:
        return self.name.login.account.user if self.name.login else ""

    @property
    def hash(self) -> str | None:
        return self.name.login.account.password if self.name.login else None


class LoginCheck:
    """Judges logins; what was right is known for a while, what was wrong costs time.

    A password counts as wrong once, however often a site tries it: a machine that has an
    old one, or hundreds that do, guess nothing, and must not make the others there wait.
    `timer` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        passwords: Passwords,
        throttle: LoginThrottle,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._passwords = passwords
        self._throttle = throttle
        self._log = LoginLog(timer)
        self._config: HubConfig | None = None
        self._names: LRUCache[str, _Name] = LRUCache(_LOGINS)
        self._wrong: TTLCache[bytes, bool] = TTLCache(_WRONG, FORGOTTEN_SECONDS, timer)
        self._judging = SharedWork[bool]()
        self._turns: dict[str, list[asyncio.Lock]] = {}

    async def check(self, config: HubConfig, user: str, password: str, address: str) -> Login:
        """Who logs in with a name and a password from an address; raises LoginRefused."""
        guess = _Guess(name=self._read(config, user), address=address, password=password)
        right = self._remembered(guess)
        if right is None:
            key = place_of(address), self._token(guess)
            right = await self._judging.do(key, lambda: self._judge(guess))
        login = guess.name.login
        if not right or login is None:
            self._log.refused(address, guess.name.counted, user)
            raise LoginRefused("wrong user or password")
        return login

    def _read(self, config: HubConfig, user: str) -> _Name:
        if config is not self._config:
            if self._config is None or _hashes(config) != _hashes(self._config):
                # All at once: else who asks again would see whose password has changed.
                self._wrong.clear()
            self._config = config
            self._names.clear()
        name = self._names.get(user)
        if name is None:
            counted = re.split("[-/]", user[:_MAX_NAME], maxsplit=1)[0]
            name = _Name(user, read_login(config, user), counted, _without_type(config, user))
            self._names[user] = name
        return name

    def _token(self, guess: _Guess) -> bytes:
        """The same for all at a site who try the same."""
        site, own = site_of(guess.address), guess.name.own
        return self._passwords.token(site, own, guess.password, guess.hash or "")

    def _remembered(self, guess: _Guess) -> bool | None:
        """Whether a password is known to be right or wrong; None: it is not known."""
        if self._passwords.is_known(guess.account, guess.password, guess.hash):
            return True
        token = self._token(guess)
        if token not in self._wrong:
            return None
        self._wrong[token] = True  # as long as it is tried
        return False

    async def _judge(self, guess: _Guess) -> bool:
        async with self._turn(site_of(guess.address)):
            # Who waited for its turn may be known by now.
            right = self._remembered(guess)
            return await self._verify(guess) if right is None else right

    async def _verify(self, guess: _Guess) -> bool:
        address, counted = guess.address, guess.name.counted
        seconds = self._throttle.wait(address, counted)
        if seconds > 0:
            raise LoginRefused("too many wrong passwords, try again later", seconds)
        right = await self._passwords.verify(guess.account, guess.password, guess.hash)
        if right:
            self._throttle.succeeded(address, counted)
        else:
            self._wrong[self._token(guess)] = True
            self._log.guessed(counted, self._throttle.failed(address, counted))
        return right

    @asynccontextmanager
    async def _turn(self, site: str) -> AsyncIterator[None]:
        """One check at a time for a site: guesses can't run side by side, past the throttle."""
        turns = self._turns.setdefault(site, [])
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
                self._turns.pop(site, None)


def _hashes(config: HubConfig) -> list[tuple[str, str]]:
    return [(user, account.password) for user, account in config.accounts.items()]


def _without_type(config: HubConfig, user: str) -> str:
    name = user.partition("/")[0][:_MAX_NAME]
    ends = (at for at, char in enumerate(name) if char == "-" and name[at + 1 :] in config.types)
    return name[: next(ends, len(name))]
