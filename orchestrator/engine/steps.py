"""What a generator of steps yields, and the two loops that drive one: in ordinary code, and on an event loop.

A step has ``run()`` and ``run_async()``. Generators decide and yield; only steps may block. Those of user code are in
:mod:`.engine` and :mod:`.asides`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .. import clock
from ..clock import real_time as time

T = TypeVar("T")


class Sleep:
    """A step: let time pass."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self) -> None:
        time.sleep(clock.left_to_wait(self.seconds))

    async def run_async(self) -> None:
        await asyncio.sleep(clock.left_to_wait(self.seconds))


class InThread:
    """A step: something of ours that may wait for a disk or the network; an event loop goes on meanwhile."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn

    def run(self) -> Any:
        return self.fn()

    async def run_async(self) -> Any:
        return await asyncio.to_thread(self.fn)


def drive(steps: Generator[Any, Any, T]) -> T:
    """Run a generator of steps here; its return value."""
    try:
        step = next(steps)
        while True:
            try:
                value = step.run()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as stop:
        found: T = stop.value
        return found


async def drive_async(steps: Generator[Any, Any, T]) -> T:
    """As :func:`drive`, on the running event loop."""
    try:
        step = next(steps)
        while True:
            try:
                value = await step.run_async()
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as stop:
        found: T = stop.value
        return found
