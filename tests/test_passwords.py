import asyncio
import threading

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metahub_addon import passwords
from metahub_addon.passwords import Passwords, hash_password, is_hash, matches
from support.fake_timer import FakeTimer

GOOD = hash_password("secret", 4)


class Checks:
    """Stands in for `matches`: counts, and waits until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hashes: list[str] = []
        self.at_once = 0
        self.most = 0
        self.may_go_on = threading.Event()
        self._lock = threading.Lock()
        monkeypatch.setattr(passwords, "matches", self)

    def __call__(self, password: str, hash: str) -> bool:
        with self._lock:
            self.hashes.append(hash)
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self.may_go_on.wait(60)
        with self._lock:
            self.at_once -= 1
        return matches(password, hash)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


@settings(max_examples=30)
@given(st.text(min_size=1, max_size=18), st.text(max_size=18))
def test_a_hash_is_that_of_its_password_alone(password: str, other: str) -> None:
    try:
        hash = hash_password(password, 4)
    except ValueError:
        assert "\0" in password or any("\ud800" <= char <= "\udfff" for char in password)
        return
    assert is_hash(hash)
    assert matches(password, hash)
    assert matches(other, hash) == (other == password)


@pytest.mark.parametrize(
    "wrong", ["", "x" * 73, "é" * 37, "a\0b", "\ud800"], ids=["empty", "73", "74", "nul", "utf-8"]
)
def test_what_bcrypt_would_cut_off_is_no_password(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"1 to 72 bytes and no NUL|rounds") as caught:
        hash_password(wrong, 4)
    assert not wrong or wrong not in str(caught.value)
    assert not matches(wrong, GOOD)


def test_the_longest_password_counts_to_its_last_byte() -> None:
    hash = hash_password("x" * 72, 4)
    assert matches("x" * 72, hash)
    assert not matches("x" * 71 + "y", hash)
    assert not matches("x" * 73, hash)


@pytest.mark.parametrize("rounds", [3, 17, -1])
def test_rounds_have_bounds(rounds: int) -> None:
    with pytest.raises(ValueError, match="from 4 to 16"):
        hash_password("secret", rounds)


def test_the_default_cost() -> None:
    assert hash_password("secret").startswith("$2b$12$")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD, True),
        (GOOD.replace("$2b$", "$2a$"), True),
        (GOOD.replace("$2b$", "$2y$"), True),
        (GOOD.replace("$2b$", "$2x$"), False),
        (GOOD.replace("$04$", "$16$"), True),
        (GOOD.replace("$04$", "$17$"), False),
        (GOOD.replace("$04$", "$03$"), False),
        (GOOD[:-1], False),
        (GOOD + "a", False),
        (GOOD + "\n", False),
        ("$2b$04$short", False),
        ("$2b$04$" + "a" * 53, False),  # bits in the salt that have no place there
        ("secret", False),
        ("", False),
    ],
)
def test_what_is_a_hash(text: str, told: bool) -> None:
    assert is_hash(text) is told
    if not told:
        assert not matches("secret", text)


@pytest.mark.parametrize("kind", ["$2a$", "$2b$", "$2y$"])
def test_hashes_of_other_programs(kind: str) -> None:
    assert matches("secret", GOOD.replace("$2b$", kind))
    assert bcrypt.checkpw(b"secret", GOOD.encode())


async def test_right_and_wrong() -> None:
    judged = Passwords()
    assert await judged.verify("a", "secret", GOOD)
    assert not await judged.verify("a", "secre", GOOD)
    assert not await judged.verify("a", "", GOOD)
    judged.close()


async def test_what_was_right_is_known_for_half_a_day(checks: Checks) -> None:
    checks.may_go_on.set()
    timer = FakeTimer()
    judged = Passwords(timer)
    assert not judged.is_known("a", "secret", GOOD)
    assert await judged.verify("a", "secret", GOOD)
    assert await judged.verify("a", "secret", GOOD)
    assert judged.is_known("a", "secret", GOOD)
    assert len(checks.hashes) == 1
    for user, password, hash in [
        ("b", "secret", GOOD),
        ("a", "secreT", GOOD),
        ("a", "secret", GOOD[:-1] + ("O" if GOOD.endswith(".") else ".")),
        ("as", "ecret", GOOD),
        ("a", "secret", None),
    ]:
        assert not judged.is_known(user, password, hash)
    timer.wait(12 * 3600 + 1)
    assert not judged.is_known("a", "secret", GOOD)
    assert await judged.verify("a", "secret", GOOD)
    assert len(checks.hashes) == 2
    judged.close()


async def test_what_is_used_stays_known(checks: Checks) -> None:
    """A fleet at work is never thrown back among those who guess (each 9 minutes here)."""
    checks.may_go_on.set()
    timer = FakeTimer()
    judged = Passwords(timer)
    assert await judged.verify("a", "secret", GOOD)
    for _ in range(10):
        timer.wait(540)
        assert judged.is_known("a", "secret", GOOD)
        timer.wait(540)
        assert await judged.verify("a", "secret", GOOD)
    assert len(checks.hashes) == 1
    judged.close()


def test_a_token_tells_texts_apart_and_not_what_they_are() -> None:
    judged, other = Passwords(), Passwords()
    tokens = [judged.token(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("\ud800",))]
    assert len(set(tokens)) == 4
    assert judged.token("ab", "c") == tokens[0] != other.token("ab", "c")
    judged.close()
    other.close()


async def test_what_was_wrong_is_judged_again(checks: Checks) -> None:
    checks.may_go_on.set()
    judged = Passwords()
    judged.expect([GOOD])
    for _ in range(2):
        assert not await judged.verify("a", "wrong", GOOD)
    assert len(checks.hashes) == 2
    judged.close()


async def test_a_user_that_is_not_there_costs_as_much(checks: Checks) -> None:
    checks.may_go_on.set()
    judged = Passwords()
    judged.expect([GOOD, GOOD.replace("$04$", "$05$"), "no hash"])
    assert not await judged.verify("nobody", "secret", None)
    judged.expect([])
    judged.expect([GOOD])
    assert not await judged.verify("nobody", "secret", None)
    assert [hash[:7] for hash in checks.hashes] == ["$2b$05$", "$2b$04$"]
    assert all(map(is_hash, checks.hashes))
    judged.close()


@pytest.mark.parametrize("cost", [4, 5, 8, 9])
async def test_a_cheap_hash_costs_as_much_where_the_password_is_wrong(
    checks: Checks, cost: int
) -> None:
    checks.may_go_on.set()
    judged = Passwords()
    dear, cheap = GOOD.replace("$04$", "$09$"), GOOD.replace("$04$", f"${cost:02}$")
    judged.expect([dear, cheap])
    assert not await judged.verify("a", "wrong", cheap)
    assert sum(2 ** int(hash[4:6]) for hash in checks.hashes) == 2**9
    judged.close()


async def test_even_who_finds_the_dummy_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "matches", lambda password, hash: True)
    judged = Passwords()
    assert not await judged.verify("nobody", "secret", None)
    assert not judged.is_known("nobody", "secret", None)
    judged.close()


async def test_checks_of_the_same_are_shared_and_two_run_at_once(checks: Checks) -> None:
    judged = Passwords()
    judged.expect([GOOD])
    same = [asyncio.create_task(judged.verify("a", "secret", GOOD)) for _ in range(5)]
    others = [asyncio.create_task(judged.verify("a", f"wrong{at}", GOOD)) for at in range(4)]
    await asyncio.sleep(0)
    same[0].cancel()
    await asyncio.sleep(0)
    checks.may_go_on.set()
    assert await asyncio.gather(*same[1:]) == [True] * 4
    assert await asyncio.gather(*others) == [False] * 4
    assert same[0].cancelled()
    assert len(checks.hashes) == 5
    assert checks.most <= 2
    judged.close()


async def test_a_check_that_fails_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(password: str, hash: str) -> bool:
        raise MemoryError

    judged = Passwords()
    with monkeypatch.context() as patch:
        patch.setattr(passwords, "matches", broken)
        with pytest.raises(MemoryError):
            await judged.verify("a", "secret", GOOD)
    assert await judged.verify("a", "secret", GOOD)
    judged.close()


async def test_a_check_that_is_cancelled_is_forgotten(checks: Checks) -> None:
    judged = Passwords()
    waiting = asyncio.create_task(judged.verify("a", "secret", GOOD))
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task(), waiting}:
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    checks.may_go_on.set()
    assert await judged.verify("a", "secret", GOOD)
    judged.close()


async def test_nothing_secret_is_kept_in_the_clear() -> None:
    judged = Passwords()
    await judged.verify("a", "secret", GOOD)
    assert "secret" not in repr(vars(judged))
    judged.close()
