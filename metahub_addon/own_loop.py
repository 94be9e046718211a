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


class OwnLoop:
    """Runs coroutines in its thread, which begins with the first and ends with `close`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None

    async def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result of a coroutine; who gives up ends it. Raises what it raises."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._started()))

    def close(self) -> None:
        """End the thread; what still runs there is not finished."""
        if self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = Thread(target=self._loop.run_forever, name="metahub-io", daemon=True)
            self._thread.start()
        return self._loop
