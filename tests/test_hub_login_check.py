import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from metahub_addon.hub_config import Account, HubConfig
from metahub_addon.hub_login_check import LoginCheck, LoginRefused
from metahub_addon.login_throttle import (
    FREE_TRIES,
    FREE_TRIES_OF_PLACE,
    FREE_TRIES_OF_SITE,
    LoginThrottle,
)
from metahub_addon.passwords import Passwords, hash_password
from metahub_addon.type_selection import Login
from support.descriptors import machine
from support.fake_timer import FakeTimer

HOME, ELSEWHERE = "192.0.2.1", "198.51.100.1"
TYPES = {name: machine(name=name) for name in ("type1", "type2")}


def account(user: str, password: str, *types: str, own_type: str = "") -> Account:
    hashed = hash_password(password, rounds=4)
    return Account(user=user, password=hashed, types=types, own_type=own_type)


QNIB = account("qnib", "right", "type1", "type2")
GPU = account("gpu", "other", own_type="type2")
CONFIG = HubConfig(types=TYPES, accounts={"qnib": QNIB, "gpu": GPU})


class CountedPasswords(Passwords):
    """Counts the checks; each waits for `gate`, if there is one."""

    def __init__(self, timer: FakeTimer) -> None:
        super().__init__(timer)
        self.checked = 0
        self.at_once = 0
        self.most = 0
        self.gate: asyncio.Event | None = None

    async def verify(self, user: str, password: str, hash: str | None) -> bool:
        self.checked += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            if self.gate:
                await self.gate.wait()
            return await super().verify(user, password, hash)
        finally:
            self.at_once -= 1


@dataclass
class Door:
    """A check of logins and what it is made of."""

    timer: FakeTimer = field(default_factory=FakeTimer)

    def __post_init__(self) -> None:
        self.passwords = CountedPasswords(self.timer)
        self.passwords.expect([QNIB.password])
        self.throttle = LoginThrottle(self.timer)
        self.check = LoginCheck(self.passwords, self.throttle, self.timer)
        self.guesses = map(str, itertools.count())

    async def enter(
        self,
        user: str = "qnib-type1",
        password: str = "right",
        address: str = HOME,
        config: HubConfig = CONFIG,
    ) -> Login:
        return await self.check.check(config, user, password, address)

    async def refused(
        self, user: str = "qnib-type1", password: str | None = None, address: str = HOME
    ) -> LoginRefused:
        """Why a password, or else the next guess, is refused."""
        with pytest.raises(LoginRefused) as caught:
            await self.enter(user, next(self.guesses) if password is None else password, address)
        return caught.value


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    yield made
    made.passwords.close()


@pytest.mark.parametrize(
    ("user", "password", "type_name", "unknown"),
    [
        ("qnib-type1", "right", "type1", ""),
        ("qnib-type2", "right", "type2", ""),
        ("qnib", "right", "", ""),
        ("gpu", "other", "type2", ""),
        ("qnib-type9", "right", "", "type9"),
    ],
)
async def test_who_logs_in(
    door: Door, user: str, password: str, type_name: str, unknown: str
) -> None:
    login = await door.enter(user, password)
    assert login.account is CONFIG.accounts[user.partition("-")[0]]
    assert (login.machine, login.unknown) == (TYPES.get(type_name), unknown)


@pytest.mark.parametrize(
    ("user", "password"),
    [("qnib", "wrong"), ("qnib-type1", "other"), ("nobody", "right"), ("", ""), ("gpu", "")],
)
async def test_who_does_not(door: Door, user: str, password: str) -> None:
    refused = await door.refused(user, password)
    assert (str(refused), refused.seconds) == ("wrong user or password", 0)
    assert door.passwords.checked == 1  # as much work for whoever is there or not


async def test_who_was_right_is_known_for_half_a_day(door: Door) -> None:
    for user in ("qnib", "qnib-type1", "qnib-type2") * 2:
        await door.enter(user)
    assert door.passwords.checked == 1
    door.timer.wait(12 * 3600 + 1)
    await door.enter()
    assert door.passwords.checked == 2


async def test_guessing_gets_slow(door: Door) -> None:
    for _ in range(FREE_TRIES):
        assert (await door.refused()).seconds == 0
    refused = await door.refused()
    assert str(refused) == "too many wrong passwords, try again later"
    assert refused.seconds > 0
    checked = door.passwords.checked
    assert (await door.refused(password="right")).seconds > 0
    assert door.passwords.checked == checked  # what is not judged tells nothing
    door.timer.wait(refused.seconds)
    await door.enter()


@pytest.mark.parametrize("name", ["qnib", "nobody"])
async def test_other_types_are_no_way_to_more_guesses(door: Door, name: str) -> None:
    """And what is counted does not tell whether there is such an account."""
    for user in (f"{name}-type1", f"{name}/cpu#zen2", name):
        assert (await door.refused(user)).seconds == 0
    assert (await door.refused(f"{name}-type9")).seconds > 0
    assert (await door.refused("gpu")).seconds == 0
    assert (await door.refused("another")).seconds == 0


async def test_who_is_known_is_not_slowed_by_who_guesses(door: Door) -> None:
    await door.enter()
    for _ in range(FREE_TRIES):
        await door.refused()
    await door.enter()
    await door.enter("gpu", "other")
    assert (await door.refused("qnib")).seconds > 0
    assert (await door.refused("qnib", address=ELSEWHERE)).seconds == 0


async def test_who_was_right_begins_anew(door: Door) -> None:
    for _ in range(2):
        for _ in range(FREE_TRIES - 1):
            assert (await door.refused()).seconds == 0
        door.timer.wait(12 * 3600 + 1)  # nothing is known any more, but what was wrong
        await door.enter()


@pytest.mark.parametrize(
    ("user", "address", "judged"),
    [
        ("qnib", HOME, FREE_TRIES),
        ("qnib", "2001:db8::{at:x}", FREE_TRIES),  # who has a /64 has all of its addresses
        ("qnib", "2001:db8:1:{at:x}::1", FREE_TRIES_OF_SITE),
        ("user{at}", HOME, FREE_TRIES_OF_PLACE),
        ("user{at}", "2001:db8::{at:x}", FREE_TRIES_OF_PLACE),
        ("qnib", "192.0.2.{at}", 250),  # that many clients there may be
    ],
)
async def test_guesses_side_by_side_are_judged_one_by_one(
    door: Door, user: str, address: str, judged: int
) -> None:
    guesses = (
        door.enter(user.format(at=at), f"guess {at}", address.format(at=at)) for at in range(250)
    )
    found = await asyncio.gather(*guesses, return_exceptions=True)
    assert all(isinstance(one, LoginRefused) for one in found)
    assert door.passwords.checked == judged
    assert door.passwords.most == 1 or judged == 250


# --- machines behind one address


async def test_an_old_password_is_one_guess_however_often_it_is_tried(door: Door) -> None:
    for _ in range(100):
        refused = await door.refused(password="old")
        assert (str(refused), refused.seconds) == ("wrong user or password", 0)
        door.timer.wait(60)
    assert door.passwords.checked == 1
    await door.enter()  # nobody else waits


async def test_a_fleet_with_an_old_password_stops_none_with_the_new_one(door: Door) -> None:
    users = ["qnib-type1", "qnib", "qnib-type2", "qnib/cpu#zen2", "qnib-type2/x"] * 400
    old = [door.enter(user, "old") for user in users]
    new = [door.enter(user) for user in users]
    tried = [one for pair in zip(old, new, strict=True) for one in pair]
    found = await asyncio.gather(*tried, return_exceptions=True)
    refused = [one for one in found if isinstance(one, LoginRefused)]
    assert len(refused) == len(old)
    assert {str(one) for one in refused} == {"wrong user or password"}
    assert door.passwords.checked == 2


async def test_at_work_nobody_is_slowed_by_who_has_no_account(door: Door) -> None:
    """Who guesses for hours behind the same address; a machine pulls every nine minutes."""
    await door.enter()
    for _ in range(30):
        await door.refused("qnib")
        for at in range(FREE_TRIES_OF_PLACE):
            await door.refused(f"user{at}")
        await door.enter()
        door.timer.wait(540)


async def test_what_is_known_to_be_wrong_slows_guesses_as_ever(door: Door) -> None:
    for password in ("a", "a", "b", "a", "b", "c", "c", "a"):
        assert (await door.refused(password=password)).seconds == 0
    assert door.passwords.checked == FREE_TRIES
    assert (await door.refused(password="d")).seconds > 0
    assert (await door.refused(password="a")).seconds == 0  # who asks knows it already


@pytest.mark.parametrize("name", ["qnib", "nobody"])
async def test_what_is_known_to_be_wrong_does_not_tell_who_is_there(door: Door, name: str) -> None:
    """Else a guess that is answered at once would."""
    for user in (name, f"{name}-type1", f"{name}/cpu#zen2", f"{name}-type2/x"):
        await door.refused(user, "wrong")
    assert door.passwords.checked == 1
    await door.refused(f"{name}-type9", "wrong")
    assert door.passwords.checked == 2


@pytest.mark.parametrize(
    ("address", "other", "checks"),
    [
        (HOME, HOME, 1),
        (HOME, ELSEWHERE, 2),
        ("2001:db8:1:1::1", "2001:db8:1:2::1", 1),
        ("2001:db8:1:1::1", "2001:db8:2:1::1", 2),
    ],
)
async def test_one_site_is_told_nothing_of_anothers_guesses(
    door: Door, address: str, other: str, checks: int
) -> None:
    await door.refused(password="wrong", address=address)
    await door.refused(password="wrong", address=other)
    assert door.passwords.checked == checks


async def test_places_of_a_site_that_try_the_same_at_once(door: Door) -> None:
    addresses = [f"2001:db8:1:{at:x}::1" for at in range(5)]
    tried = (door.enter(password="wrong", address=address) for address in addresses)
    found = await asyncio.gather(*tried, return_exceptions=True)
    assert {str(one) for one in found} == {"wrong user or password"}
    assert door.passwords.checked == 1


async def test_what_is_wrong_is_forgotten_when_nobody_tries_it(door: Door) -> None:
    for wait, checks in [(0, 1), (899, 1), (899, 1), (900, 2)]:
        door.timer.wait(wait)
        await door.refused(password="wrong")
        assert door.passwords.checked == checks


async def test_what_was_wrong_may_be_right_for_another_hash(door: Door) -> None:
    await door.refused(password="changed")
    await door.refused("gpu", "wrong")
    changed = replace(QNIB, password=hash_password("changed", rounds=4))
    config = replace(CONFIG, accounts={"qnib": changed, "gpu": GPU})
    assert (await door.enter(password="changed", config=config)).account is changed
    checked = door.passwords.checked
    with pytest.raises(LoginRefused):
        await door.enter("gpu", "wrong", config=config)
    assert door.passwords.checked == checked + 1  # as for who was changed


async def test_a_changed_type_is_no_reason_to_judge_anew(door: Door) -> None:
    await door.refused(password="wrong")
    config = replace(CONFIG, types={**TYPES, "type3": machine(name="type3")})
    with pytest.raises(LoginRefused):
        await door.enter(password="wrong", config=config)
    assert door.passwords.checked == 1


# --- what the log says


async def test_guesses_are_told(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await door.enter()
    for _ in range(FREE_TRIES):
        await door.refused()
    await door.refused()  # waits: the log is not to be filled by who may not even try
    door.timer.wait(61)
    await door.refused(password="2")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"login refused for qnib-type1 from {HOME}"),
        ("WARNING", f"qnib from {HOME}: too many wrong passwords, logins have to wait"),
        ("INFO", f"login refused for qnib-type1 from {HOME}"),
    ]


async def test_guesses_from_anywhere_are_told(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    for at in range(60):
        await door.refused(address=f"198.51.100.{at}")
    assert caplog.messages == ["qnib: more than 50 wrong passwords in 15 minutes, wherever from"]


# --- all at once


async def test_a_fleet_logs_in_by_one_check(door: Door) -> None:
    names = ["qnib-type1", "qnib-type2", "qnib"] * 20
    found = await asyncio.gather(*(door.enter(name) for name in names))
    assert {login.account for login in found} == {QNIB}
    assert door.passwords.checked == 1


async def test_only_so_many_wait(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("metahub_addon.hub_login_check._MAX_WAITING", 8)
    door.passwords.gate = asyncio.Event()
    waiting = [asyncio.create_task(door.enter()) for _ in range(500)]  # one and the same
    others = [asyncio.create_task(door.enter(password=f"guess {at}")) for at in range(7)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    refused = await door.refused("gpu", "other")
    assert str(refused) == "too many logins at once, try again later"
    assert refused.seconds > 0
    elsewhere = asyncio.create_task(door.enter(address=ELSEWHERE))
    waiting[0].cancel()
    waiting[7].cancel()
    door.passwords.gate.set()
    found = await asyncio.gather(*waiting, elsewhere, return_exceptions=True)
    assert sum(isinstance(one, Login) for one in found) == 499
    guesses = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(one, LoginRefused) for one in guesses)
    await door.enter("gpu", "other", ELSEWHERE)


async def test_a_changed_configuration_holds_at_once(door: Door) -> None:
    await door.enter()
    changed = replace(QNIB, password=hash_password("changed", rounds=4))
    config = replace(CONFIG, accounts={"qnib": changed})
    with pytest.raises(LoginRefused):
        await door.enter(config=config)
    assert (await door.enter(password="changed", config=config)).account is changed
    with pytest.raises(LoginRefused):
        await door.enter("gpu", "other", config=config)


async def test_an_account_without_a_password_lets_nobody_in(door: Door) -> None:
    config = replace(CONFIG, accounts={"open": Account(user="open", password="")})
    for password in ("", "open"):
        with pytest.raises(LoginRefused):
            await door.enter("open", password, config=config)


async def test_a_refusal_quotes_nothing(door: Door) -> None:
    refused = await door.refused("somebody", "hunter2")
    assert "hunter2" not in repr(refused)
    assert "somebody" not in repr(refused)
