"""Who is logged in at the page: signed cookies, so that any replica can read them.

A session ends after eight hours, with the account, with a changed password, and by logging
out (on this process: the others forget it with its time).
"""

import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping

from cachetools import TTLCache
from tornado.web import create_signed_value, decode_signed_value

from metahub_addon.hub_config import Account

SESSION_SECONDS = 8 * 3600
NOTICE_SECONDS = 60
_DAY_SECONDS = 86400
_VERSION = 2
_ENDED = 4096


class Sessions:
    """Makes and reads the values of cookies; `secret` signs them."""

    def __init__(self, secret: Callable[[], bytes], clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._ended: TTLCache[str, bool] = TTLCache(_ENDED, SESSION_SECONDS, clock)

    def begin(self, account: Account) -> str:
        """A new session's cookie."""
        serial = secrets.token_urlsafe(16)
        return self._sign("session", [account.user, serial, self._bond(account)])

    def account(self, cookie: str, accounts: Mapping[str, Account]) -> Account | None:
        """The account of a session that is good now."""
        session = self._read("session", cookie, SESSION_SECONDS)
        if session is None:
            return None
        user, serial, bond = session
        account = accounts.get(user)
        if account is None or serial in self._ended:
            return None
        return account if hmac.compare_digest(bond, self._bond(account)) else None

    def end(self, cookie: str) -> None:
        """Forget a session."""
        session = self._read("session", cookie, SESSION_SECONDS)
        if session is not None:
            self._ended[session[1]] = True

    def notice(self, text: str) -> str:
        """A cookie that carries a text to the next page."""
        return self._sign("notice", [text])

    def read_notice(self, cookie: str) -> str:
        """The text; empty: there is none."""
        notice = self._read("notice", cookie, NOTICE_SECONDS)
        return notice[0] if notice else ""

    def _bond(self, account: Account) -> str:
        """What a session shares with the password: another one, and it is void."""
        known = json.dumps([account.user, account.password]).encode()
        return hmac.digest(self._secret(), b"metahub session " + known, "sha256").hex()

    def _sign(self, name: str, values: list[str]) -> str:
        text = json.dumps(values)
        signed = create_signed_value(self._secret(), name, text, _VERSION, self._clock)
        return signed.decode("ascii")

    def _read(self, name: str, cookie: str, seconds: float) -> list[str] | None:
        text = decode_signed_value(
            self._secret(), name, cookie, seconds / _DAY_SECONDS, self._clock, _VERSION
        )
        # What is signed was written above: only that reads back.
        return None if text is None else json.loads(text)
