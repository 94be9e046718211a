import logging

import pytest

from metahub_addon.login_log import MANY, LoginLog
from support.fake_timer import FakeTimer

HOME = "192.0.2.1"


@pytest.fixture
def timer() -> FakeTimer:
    return FakeTimer()


@pytest.fixture
def log(timer: FakeTimer, caplog: pytest.LogCaptureFixture) -> LoginLog:
    caplog.set_level(logging.INFO)
    return LoginLog(timer)


def test_a_line_a_minute_for_an_account_and_a_place(
    log: LoginLog, timer: FakeTimer, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(4):
        for address, user in [
            (HOME, "qnib-type1"),
            (HOME, "qnib"),
            (HOME, "gpu"),
            ("2001:db8::1", "qnib"),
            ("2001:db8::2", "qnib"),
        ]:
            log.refused(address, user.partition("-")[0], user)
        timer.wait(19)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"login refused for qnib-type1 from {HOME}"),
        ("INFO", f"login refused for gpu from {HOME}"),
        ("INFO", "login refused for qnib from 2001:db8::1"),
    ]
    timer.wait(1)
    log.refused(HOME, "qnib", "qnib")
    assert len(caplog.records) == 4


def test_a_line_is_a_line_whatever_users_are_called(
    log: LoginLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.refused("", "", "")
    log.refused(HOME, "a\n", "a\n\x1b[2J" + "x" * 1000)
    first, second = [record.getMessage() for record in caplog.records]
    assert first == "login refused for - from -"
    assert second.startswith("login refused for a\\n\\x1b[2Jxxx")
    assert second.isprintable()
    assert len(second) < 120


def test_who_has_to_wait(log: LoginLog, caplog: pytest.LogCaptureFixture) -> None:
    log.guessed("qnib", [])
    log.guessed("qnib", ["qnib\n from 192.0.2.1", "192.0.2.1"])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "qnib\\n from 192.0.2.1: too many wrong passwords, logins have to wait"),
        ("WARNING", "192.0.2.1: too many wrong passwords, logins have to wait"),
    ]


def test_many_wrong_passwords_of_an_account_are_told_once_a_quarter_of_an_hour(
    log: LoginLog, timer: FakeTimer, caplog: pytest.LogCaptureFixture
) -> None:
    says = "qnib: more than 50 wrong passwords in 15 minutes, wherever from"
    for _ in range(MANY):
        log.guessed("qnib", [])
        timer.wait(1)
    log.guessed("gpu", [])
    assert caplog.messages == []
    for _ in range(MANY * 3):
        log.guessed("qnib", [])
    assert caplog.messages == [says]
    timer.wait(900 - MANY)
    for _ in range(MANY + 1):
        log.guessed("qnib", [])
    assert caplog.messages == [says, says]


def test_memory_is_bounded(log: LoginLog) -> None:
    for at in range(20000):
        log.refused(HOME, f"{at}", "a")
        log.guessed(f"{at}", [])
    assert len(log._told) == len(log._tries) == 16384
