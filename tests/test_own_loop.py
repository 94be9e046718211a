import asyncio
import threading

import pytest

from metahub_addon.own_loop import OwnLoop


async def name_of_thread() -> str:
    return threading.current_thread().name


async def test_work_runs_in_one_thread_until_it_is_closed() -> None:
    loop = OwnLoop()
    names = [await loop.run(name_of_thread()) for _ in range(2)]
    assert names == ["metahub-io"] * 2
    loop.close()
    loop.close()
    assert "metahub-io" not in [thread.name for thread in threading.enumerate()]
    assert await loop.run(name_of_thread()) == "metahub-io"
    loop.close()


async def test_what_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    loop = OwnLoop()
    with pytest.raises(ZeroDivisionError):
        await loop.run(fail())
    loop.close()


async def test_who_gives_up_ends_the_work() -> None:
    ended = threading.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    loop = OwnLoop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await loop.run(wait())
    assert await asyncio.to_thread(ended.wait, 10)
    loop.close()


async def test_it_has_its_turn_while_the_callers_loop_is_busy() -> None:
    done = threading.Event()

    async def work() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        done.set()

    loop = OwnLoop()
    running = asyncio.create_task(loop.run(work()))
    await asyncio.sleep(0)
    assert done.wait(10)  # blocks this loop: the other one goes on
    await running
    loop.close()
