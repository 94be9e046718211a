import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from metahub_addon.hub_config import Account, HubConfig
from metahub_addon.hub_login_check import LoginCheck, LoginRefused
from metahub_addon.login_throttle import FREE_TRIES, LoginThrottle
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
        self.check = LoginCheck(self.passwords, self.throttle)

    async def enter(
        self,
        user: str = "qnib-type1",
        password: str = "right",
        address: str = HOME,
        config: HubConfig = CONFIG,
    ) -> Login:
        return await self.check.check(config, user, password, address)

    async def refused(
        self, user: str = "qnib-type1", password: str = "wrong", address: str = HOME
    ) -> LoginRefused:
        with pytest.raises(LoginRefused) as caught:
            await self.enter(user, password, address)
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


async def test_who_was_right_is_known_for_ten_minutes(door: Door) -> None:
    for user in ("qnib", "qnib-type1", "qnib-type2") * 2:
        await door.enter(user)
    assert door.passwords.checked == 1
    door.timer.wait(601)
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
        door.timer.wait(601)  # nothing is known any more, but what was wrong
        await door.enter()


async def test_guesses_side_by_side_are_judged_one_by_one(door: Door) -> None:
    found = await asyncio.gather(
        *(door.enter(password=f"guess {at}") for at in range(50)), return_exceptions=True
    )
    assert all(isinstance(one, LoginRefused) for one in found)
    assert (door.passwords.checked, door.passwords.most) == (FREE_TRIES, 1)


async def test_a_fleet_logs_in_by_one_check(door: Door) -> None:
    names = ["qnib-type1", "qnib-type2", "qnib"] * 20
    found = await asyncio.gather(*(door.enter(name) for name in names))
    assert {login.account for login in found} == {QNIB}
    assert door.passwords.checked == 1


async def test_only_so_many_wait(door: Door) -> None:
    door.passwords.gate = asyncio.Event()
    waiting = [asyncio.create_task(door.enter()) for _ in range(256)]
    await asyncio.sleep(0)
    refused = await door.refused(password="right")
    assert str(refused) == "too many logins at once, try again later"
    assert refused.seconds > 0
    elsewhere = asyncio.create_task(door.enter(address=ELSEWHERE))
    waiting[0].cancel()
    waiting[7].cancel()
    door.passwords.gate.set()
    found = await asyncio.gather(*waiting, elsewhere, return_exceptions=True)
    assert sum(isinstance(one, Login) for one in found) == 255
    await door.enter()


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
