import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

from metahub_addon.credentials import Credentials
from metahub_addon.registry_tokens import IssuedToken, TokenCache, TokenKey
from metahub_addon.upstream import FetchError
from support.fake_timer import FakeTimer

NOBODY = TokenKey("https://a.test/t", "s", "repository:a:pull", "")


def issuing(seconds: float) -> Callable[[], Awaitable[IssuedToken]]:
    """Tokens t1, t2 and so on."""
    numbers = count(1)

    async def issue() -> IssuedToken:
        await asyncio.sleep(0)
        return IssuedToken(f"t{next(numbers)}", seconds)

    return issue


async def test_a_token_holds_until_a_margin_before_its_end() -> None:
    timer = FakeTimer()
    cache, issue = TokenCache(timer), issuing(100)
    assert await cache.get(NOBODY, issue) == "t1"
    timer.wait(89)
    assert await cache.get(NOBODY, issue) == "t1"
    timer.wait(1)
    assert await cache.get(NOBODY, issue) == "t2"


async def test_a_short_token_has_a_short_margin() -> None:
    timer = FakeTimer()
    cache, issue = TokenCache(timer), issuing(2)
    assert await cache.get(NOBODY, issue) == "t1"
    timer.wait(1.5)
    assert await cache.get(NOBODY, issue) == "t1"
    timer.wait(0.2)
    assert await cache.get(NOBODY, issue) == "t2"


async def test_time_counts_from_before_the_token_was_asked_for() -> None:
    timer = FakeTimer()
    cache, numbers = TokenCache(timer), count(1)

    async def slow() -> IssuedToken:
        timer.wait(20)
        return IssuedToken(f"t{next(numbers)}", 15)

    assert [await cache.get(NOBODY, slow) for _ in range(2)] == ["t1", "t2"]


async def test_one_fetch_for_all_who_ask_at_once() -> None:
    cache, issue = TokenCache(FakeTimer()), issuing(0)
    assert await asyncio.gather(*(cache.get(NOBODY, issue) for _ in range(100))) == ["t1"] * 100
    assert await cache.get(NOBODY, issue) == "t2"


async def test_each_key_has_its_own() -> None:
    cache, issue = TokenCache(FakeTimer()), issuing(100)
    ann, bob = (Credentials(username=name, password="pw") for name in ("ann", "bob"))
    keys = [
        cache.key("https://a.test/t", "s", "repository:a:pull", None),
        cache.key("https://b.test/t", "s", "repository:a:pull", None),
        cache.key("https://a.test/t", "z", "repository:a:pull", None),
        cache.key("https://a.test/t", "s", "repository:a:pull,push", None),
        cache.key("https://a.test/t", "s", "repository:a:pull", ann),
        cache.key("https://a.test/t", "s", "repository:a:pull", bob),
    ]
    assert [await cache.get(key, issue) for key in keys] == [f"t{at}" for at in range(1, 7)]
    assert await cache.get(keys[4], issue) == "t5"


def test_keys_tell_credentials_apart_without_showing_them() -> None:
    cache = TokenCache()
    parts = [("ab", "c", ""), ("a", "bc", ""), ("ab", "", "c"), ("", "abc", "")]
    shown = [Credentials(username=u, password=p, identity_token=i) for u, p, i in parts]
    keys = [cache.key("r", "s", "x", credentials) for credentials in shown]
    assert len(set(keys)) == 4
    assert keys[0] == cache.key("r", "s", "x", Credentials(username="ab", password="c"))
    assert keys[0] != TokenCache().key("r", "s", "x", shown[0]), "of use in one process only"
    assert keys[0].credentials not in repr(keys[0])
    assert "secret" not in repr(IssuedToken("secret", 1))


async def test_a_refused_token_is_got_anew_unless_that_was_done() -> None:
    cache, issue = TokenCache(FakeTimer()), issuing(100)
    cache.drop(NOBODY, "t0")
    assert await cache.get(NOBODY, issue) == "t1"
    cache.drop(NOBODY, "t1")
    assert await cache.get(NOBODY, issue) == "t2"
    cache.drop(NOBODY, "t1")
    assert await cache.get(NOBODY, issue) == "t2"


async def test_failures_are_for_those_who_wait_and_not_kept() -> None:
    cache = TokenCache(FakeTimer())

    async def fail() -> IssuedToken:
        await asyncio.sleep(0)
        raise FetchError("no")

    waiting = (cache.get(NOBODY, fail) for _ in range(3))
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in found] == ["no"] * 3
    assert await cache.get(NOBODY, issuing(100)) == "t1"


async def test_what_is_kept_is_bounded() -> None:
    cache, issue = TokenCache(FakeTimer(), max_tokens=2), issuing(100)
    keys = [cache.key("r", "s", scope, None) for scope in "abc"]
    assert [await cache.get(key, issue) for key in keys] == ["t1", "t2", "t3"]
    assert await cache.get(keys[0], issue) == "t4"
