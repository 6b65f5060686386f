"""Calling functions beside a run's own code: hooks, conditions. They may be written either way, ``def`` or ``async``,
wherever they are called.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Aside:
    """A step: call a function that is no part of the run's own code."""

    __slots__ = ("args", "fn")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.fn, self.args = fn, args

    def run(self) -> Any:
        """Call it here; what an ``async`` function gives is run to its end on a loop of its own."""
        value = self.fn(*self.args)
        return finished(value) if inspect.isawaitable(value) else value

    async def run_async(self) -> Any:
        """Call it on the running event loop."""
        value = self.fn(*self.args)
        return await value if inspect.isawaitable(value) else value


#: Yields steps such as :class:`Aside`.
Asides = Generator[Any, Any, T]


def finished(value: Awaitable[T]) -> T:
    """What something awaitable gives, waited for from synchronous code; in another thread where a loop runs here."""
    if asyncio._get_running_loop() is None:
        return asyncio.run(_awaited(value))
    outcome: list[T] = []
    raised: list[BaseException] = []

    def work() -> None:
        try:
            outcome.append(asyncio.run(_awaited(value)))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), name="aside", daemon=True)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
    return outcome[0]


async def _awaited(value: Awaitable[T]) -> T:
    return await value
