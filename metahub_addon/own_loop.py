"""An event loop in a thread of its own, for exchanges that must not wait for others' turns.

Where hundreds of clients connect at once, each turn of mitmproxy's loop takes tenths of a
second, and an exchange with a registry takes half a dozen turns: it would be given up by
its time limit although the registry answers at once.
"""

import asyncio
from collections.abc import Coroutine
from threading import Thread
from typing import Any, TypeVar

_Result = TypeVar("_Result")
# A generator that nobody holds any longer is closed by a task of its own, and then the one
# in it: two turns each. httpx and httpcore have five, one in the other.
_TURNS = 20


class OwnLoop:
    """Runs coroutines in its thread, which begins with the first and ends with `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    async def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a coroutine; who gives up ends it. Raises what it raises."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._started()))

    def close(self) -> None:
        """End the thread; what still runs there is cancelled, and so is who waits for it."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            name = "metahub-io"
            self._thread = Thread(target=_serve, args=(self._loop,), name=name, daemon=True)
            self._thread.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.run_until_complete(_end_all())
    loop.close()


async def _end_all() -> None:
    """Leave no task and no generator in the middle of its work."""
    await _settle()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await _settle()
    await asyncio.get_running_loop().shutdown_asyncgens()


async def _settle() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)
