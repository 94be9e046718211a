"""Passwords as bcrypt hashes: made, told apart and checked, at a cost that tells nothing."""

import asyncio
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import bcrypt
from cachetools import TTLCache

from metahub_addon.shared_work import SharedWork

MAX_PASSWORD_BYTES = 72
MIN_ROUNDS = 4
# bcrypt takes 31, which is days. At 16 a check takes some seconds.
MAX_ROUNDS = 16
_ROUNDS = 12
_KNOWN = 4096
# It is bound to the hash: a changed password ends it at once.
_KNOWN_SECONDS = 12 * 3600.0
_CHECKS_AT_ONCE = 2
# 22 characters of salt, of whose last one two bits count, and 31 of the hash. bcrypt's own
# parser panics at a hash that is cut off, so nothing else may get there.
_HASH = re.compile(r"\$2[aby]\$(?P<rounds>[0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")


def hash_password(text: str, rounds: int = _ROUNDS) -> str:
    """The bcrypt hash of a password, at a cost of 2 to the power of `rounds`.

    Raises ValueError for an empty password, one that bcrypt would cut off (more than
    MAX_PASSWORD_BYTES in UTF-8) or end early (a NUL), and for rounds out of bounds. The
    message never quotes the password.
    """
    if not MIN_ROUNDS <= rounds <= MAX_ROUNDS:
        raise ValueError(f"rounds are not from {MIN_ROUNDS} to {MAX_ROUNDS}")
    octets = _octets(text)
    if octets is None:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD_BYTES} bytes and no NUL")
    return bcrypt.hashpw(octets, bcrypt.gensalt(rounds)).decode()


def is_hash(text: str) -> bool:
    """True for a bcrypt hash (`$2a$`, `$2b$`, `$2y$`) of a cost up to MAX_ROUNDS."""
    found = _HASH.fullmatch(text)
    return found is not None and MIN_ROUNDS <= int(found["rounds"]) <= MAX_ROUNDS


def matches(password: str, hash: str) -> bool:
    """True if a password is that of a hash; False also where either is none at all."""
    octets = _octets(password)
    return octets is not None and is_hash(hash) and bcrypt.checkpw(octets, hash.encode())


def _octets(password: str) -> bytes | None:
    try:
        octets = password.encode()
    except UnicodeEncodeError:
        return None
    return octets if 0 < len(octets) <= MAX_PASSWORD_BYTES and b"\0" not in octets else None


def _matches_slowly(password: str, hash: str | None, rounds: int) -> bool:
    """As `matches`, but whatever is wrong takes as long as a hash of `rounds` does.

    Also where no hash is there, or one that costs less: the cost doubles with each round, so
    2^r and 2^r, 2^(r+1), … 2^(rounds - 1) make 2^rounds.
    """
    if hash is not None and matches(password, hash):
        return True
    found = _HASH.fullmatch(hash or "")
    costs = range(int(found["rounds"]), rounds) if found else (rounds,)
    for cost in costs:
        matches(password, f"$2b${cost:02}${'.' * 53}")
    return False


class Passwords:
    """Checks passwords beside the event loop, and remembers those that were right.

    What was right is kept until nobody has asked for it for half a day, under a keyed hash
    only. Whatever is wrong takes as long, be the user there or not: time does not tell who is
    there. `timer` is a monotonic clock in seconds.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._known: TTLCache[bytes, bool] = TTLCache(_KNOWN, _KNOWN_SECONDS, timer)
        self._checks = SharedWork[bool]()
        self._threads = ThreadPoolExecutor(_CHECKS_AT_ONCE, "metahub-password")
        self._rounds = _ROUNDS

    def expect(self, hashes: Iterable[str]) -> None:
        """Take the highest cost among the accounts' hashes for users that are not there."""
        found = (_HASH.fullmatch(hash) for hash in hashes)
        self._rounds = max((int(match["rounds"]) for match in found if match), default=_ROUNDS)

    def is_known(self, user: str, password: str, hash: str | None) -> bool:
        """True if the password was right for this hash; then it is known for longer.

        A hash has one password for ever, and a fleet at work must not be thrown back among
        those who guess.
        """
        if hash is None:
            return False
        token = self.token(user, password, hash)
        if token not in self._known:
            return False
        self._known[token] = True
        return True

    async def verify(self, user: str, password: str, hash: str | None) -> bool:
        """True if the password is that of the hash; None is a user that is not there.

        Those who ask for the same at once share one check.
        """
        if self.is_known(user, password, hash):
            return True
        token = self.token(user, password, hash or "")
        return await self._checks.do(token, lambda: self._check(token, password, hash))

    def token(self, *parts: str) -> bytes:
        """By what texts are known again, in this process, and never read."""
        encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
        whole = b"".join(len(part).to_bytes(8) + part for part in encoded)
        return hmac.digest(self._key, whole, hashlib.sha256)

    def close(self) -> None:
        """End the threads; checks under way are finished."""
        self._threads.shutdown(wait=False)

    async def _check(self, token: bytes, password: str, hash: str | None) -> bool:
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(
            self._threads, _matches_slowly, password, hash, self._rounds
        )
        if right:
            self._known[token] = True
        return right
