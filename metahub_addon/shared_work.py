"""Work that is done once for all who want it at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

_Result = TypeVar("_Result")


class SharedWork(Generic[_Result]):
    """Running work by its key; nothing is kept of what is done."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[_Result]] = {}

    async def do(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """The result of the work that runs by this key, or else of `work`; raises what it raises.

        One that gives up does not take it from the others.
        """
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(work())
            task.add_done_callback(lambda done: self._end(key, done))
        return await asyncio.shield(task)

    def _end(self, key: Hashable, done: "asyncio.Task[_Result]") -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            done.exception()  # seen, also when nobody waits for it any longer
