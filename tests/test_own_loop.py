import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from metahub_addon.own_loop import OwnLoop


async def own_thread() -> threading.Thread:
    return threading.current_thread()


async def test_work_runs_in_one_thread_until_it_is_closed() -> None:
    loop = OwnLoop()
    first, second = [await loop.run(own_thread()) for _ in range(2)]
    assert first is second
    assert first.name == "metahub-io"
    loop.close()
    loop.close()
    assert not first.is_alive()
    assert await loop.run(own_thread()) is not first
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


async def test_closing_ends_what_is_left() -> None:
    """A task in the middle, and generators that nobody holds any longer, one in another."""
    ended: list[str] = []
    begun = threading.Event()

    async def numbers(depth: int) -> AsyncIterator[int]:
        try:
            if depth:
                async for number in numbers(depth - 1):
                    yield number
            yield 0
        finally:
            await asyncio.sleep(0)
            ended.append(f"generator {depth}")

    async def leave() -> None:
        async for _ in numbers(4):
            break

    async def wait() -> None:
        async for _ in numbers(0):
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("task")

    async def begin(generator: AsyncIterator[int]) -> None:
        await anext(generator)

    loop = OwnLoop()
    waiting = asyncio.create_task(loop.run(wait()))
    assert await asyncio.to_thread(begun.wait, 10)
    held = numbers(0)
    await loop.run(begin(held))
    await loop.run(leave())
    loop.close()
    assert sorted(ended) == [
        *("generator 0", "generator 0", "generator 0"),
        *("generator 1", "generator 2", "generator 3", "generator 4", "task"),
    ]
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 10)


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
