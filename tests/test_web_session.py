from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.hub_config import Account
from metahub_addon.web_session import NOTICE_SECONDS, SESSION_SECONDS, Sessions

ACCOUNT = Account(user="qnib", password="$2b$04$hash")
ACCOUNTS = {"qnib": ACCOUNT}


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(lambda: b"s" * 32, clock)


def test_a_session(sessions: Sessions) -> None:
    assert sessions.account(sessions.begin(ACCOUNT), ACCOUNTS) is ACCOUNT


def test_every_session_is_its_own(sessions: Sessions) -> None:
    first, second = sessions.begin(ACCOUNT), sessions.begin(ACCOUNT)
    assert first != second
    sessions.end(first)
    assert sessions.account(first, ACCOUNTS) is None
    assert sessions.account(second, ACCOUNTS) is ACCOUNT


def test_a_session_ends_by_itself(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.begin(ACCOUNT)
    clock.now += SESSION_SECONDS - 1
    assert sessions.account(cookie, ACCOUNTS) is ACCOUNT
    clock.now += 2
    assert sessions.account(cookie, ACCOUNTS) is None


def test_a_changed_password_ends_it(sessions: Sessions) -> None:
    cookie = sessions.begin(ACCOUNT)
    assert sessions.account(cookie, {"qnib": replace(ACCOUNT, password="another")}) is None
    assert sessions.account(cookie, {}) is None
    raised = replace(ACCOUNT, administrator=True)
    assert sessions.account(cookie, {"qnib": raised}) is raised


def test_replicas_share_it(clock: Clock) -> None:
    cookie = Sessions(lambda: b"s" * 32, clock).begin(ACCOUNT)
    assert Sessions(lambda: b"s" * 32, clock).account(cookie, ACCOUNTS) is ACCOUNT
    assert Sessions(lambda: b"t" * 32, clock).account(cookie, ACCOUNTS) is None


def test_the_password_is_not_in_it(sessions: Sessions) -> None:
    assert "hash" not in sessions.begin(ACCOUNT)


def test_notices(sessions: Sessions, clock: Clock) -> None:
    cookie = sessions.notice("Machine type “x” is added.")
    assert sessions.read_notice(cookie) == "Machine type “x” is added."
    clock.now += NOTICE_SECONDS + 1
    assert sessions.read_notice(cookie) == ""


def test_one_cookie_is_none_of_the_other_kind(sessions: Sessions) -> None:
    assert sessions.account(sessions.notice("x"), ACCOUNTS) is None
    assert sessions.read_notice(sessions.begin(ACCOUNT)) == ""


@given(st.text(), st.integers(0, 200))
def test_nothing_else_is_a_session(text: str, at: int) -> None:
    sessions = Sessions(lambda: b"s" * 32)
    cookie = sessions.begin(ACCOUNT)
    changed = cookie[:at] + text + cookie[at + 1 :]
    for forged in (text, changed):
        # Version 2 lets a signed value stand with other spellings of nothing but itself.
        assert forged == cookie or sessions.account(forged, ACCOUNTS) is None
        sessions.end(forged)
