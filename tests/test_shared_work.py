import asyncio
from collections.abc import Callable, Coroutine

import pytest

from metahub_addon.shared_work import SharedWork


def work(log: list[str], result: str) -> Callable[[], Coroutine[None, None, str]]:
    async def run() -> str:
        log.append(result)
        await asyncio.sleep(0)
        return result

    return run


async def test_who_wants_the_same_at_once_shares_it() -> None:
    shared, log = SharedWork[str](), list[str]()
    wanted = (shared.do(key, work(log, key)) for key in "aabab")
    assert await asyncio.gather(*wanted) == list("aabab")
    assert log == ["a", "b"]
    await shared.do("a", work(log, "again"))
    assert log == ["a", "b", "again"]


async def test_a_failure_is_for_all_who_wait() -> None:
    async def fail() -> str:
        await asyncio.sleep(0)
        raise ValueError("no")

    shared = SharedWork[str]()
    found = await asyncio.gather(*(shared.do(1, fail) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in found] == ["no"] * 3
    assert await shared.do(1, work([], "then")) == "then"


async def test_who_gives_up_does_not_take_it_from_the_others() -> None:
    shared, log = SharedWork[str](), list[str]()
    first, second = (asyncio.create_task(shared.do(1, work(log, "x"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "x"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert log == ["x"]


async def test_cancelled_work_leaves_nothing_behind() -> None:
    shared, started = SharedWork[str](), asyncio.Event()

    async def hang() -> str:
        started.set()
        await asyncio.Event().wait()
        return ""

    waiting = asyncio.create_task(shared.do(1, hang))
    await started.wait()
    own = {waiting, asyncio.current_task()}
    (running,) = (task for task in asyncio.all_tasks() if task not in own)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await shared.do(1, work([], "then")) == "then"
