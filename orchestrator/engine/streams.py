"""Generators as flows and tasks: the run goes on while its caller takes items, one at a time.

The steps of the run and the generator's body are driven in a context of their own, so that the run is the present one
for the body, and not for the caller between two items.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..clock import real_time as time
from ..results import Completed, State
from .runs import Call, Steps, within
from .timeouts import Alarm, can_interrupt, refuse


def stream(steps: Steps, guard: Callable[[], AbstractContextManager[Any]] = nullcontext) -> Generator[Any, Any, Any]:
    """A generator over what the body of a generator function yields; the run begins with the first item asked for.

    Args:
        steps: The life of the run; its calls of user code give generators.
        guard: What the body is entered in, each time.
    """
    return _outer(contextvars.copy_context(), _inner(steps), guard)


def _outer(
    here: contextvars.Context, items: Generator[Any, Any, State], guard: Callable[[], AbstractContextManager[Any]]
) -> Generator[Any, Any, Any]:
    resume: Callable[[Any], Any] = items.send
    value: Any = None
    while True:
        try:
            with guard():
                item = here.run(resume, value)
        except StopIteration as stop:
            state: State = stop.value
            return state.result()
        try:
            resume, value = items.send, (yield item)
        except BaseException as error:  # GeneratorExit, too: the body has to hear of it
            resume, value = items.throw, error


def _inner(steps: Steps) -> Generator[Any, Any, State]:
    """Drive the steps; what the body yields is yielded, and what is sent or thrown in reaches it."""
    try:
        step: Any = next(steps)
        while True:
            try:
                value: Any = None
                if not isinstance(step, Call):
                    value = step.run()
                else:  # not by `yield from`, which keeps GeneratorExit to itself
                    body = _Body(step)
                    more, value = body.resume("send", None)
                    while more:
                        try:
                            how: tuple[str, Any] = "send", (yield value)
                        except GeneratorExit:
                            how = "close", None
                        except BaseException as error:
                            how = "throw", error
                        more, value = body.resume(*how)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as stop:
        state: State = stop.value
        return state


class _Body:
    """The generator of one try, entered again for each item; a time-out counts the time in it, not the caller's."""

    def __init__(self, call: Call) -> None:
        self._call, self._left = call, call.timeout
        self._generator = call.fn(*call.args, **call.kwargs)
        self._given = 0

    def resume(self, how: str, value: Any) -> tuple[bool, Any]:
        """Go on: ``(True, item)``, or at the end ``(False, what it returned)``."""
        if how == "close":
            self._timed(self._generator.close)
            return False, self._closed()
        try:
            item = self._timed(getattr(self._generator, how), value)
        except StopIteration as stop:
            return False, stop.value
        self._given += 1
        return True, item

    def _timed(self, resume: Callable[..., Any], *value: Any) -> Any:
        if self._left is None:
            return resume(*value)
        if not can_interrupt():
            raise refuse("the generator", "outside the main thread")
        began = time.monotonic()
        try:
            with Alarm(max(self._left, 1e-6)) as self._call.alarm:
                return resume(*value)
        finally:
            self._left -= time.monotonic() - began

    async def resume_async(self, how: str, value: Any) -> tuple[bool, Any]:
        """As :meth:`resume`, of an asynchronous generator."""
        if how == "close":
            await self._timed_async(self._generator.aclose())
            return False, self._closed()
        try:
            item = await self._timed_async(getattr(self._generator, f"a{how}")(value))
        except StopAsyncIteration:
            return False, None
        self._given += 1
        return True, item

    async def _timed_async(self, awaitable: Awaitable[Any]) -> Any:
        if self._left is None:
            return await awaitable
        began = time.monotonic()
        try:
            return await within(awaitable, max(self._left, 1e-6))
        finally:
            self._left -= time.monotonic() - began

    def _closed(self) -> State:
        return Completed(f"closed by its caller after {self._given} item{'' if self._given == 1 else 's'}")


def stream_async(steps: Steps) -> AsyncGenerator[Any, Any]:
    """As :func:`stream`, of an asynchronous generator function."""
    ended: list[State] = []
    return _outer_async(contextvars.copy_context(), _inner_async(steps, ended), ended)


async def _outer_async(
    here: contextvars.Context, items: AsyncGenerator[Any, Any], ended: list[State]
) -> AsyncGenerator[Any, Any]:
    resume: Callable[[Any], Awaitable[Any]] = items.asend
    value: Any = None
    while True:
        try:
            item = await _Inside(here, resume(value))
        except StopAsyncIteration:
            ended[0].result()
            return
        try:
            resume, value = items.asend, (yield item)
        except BaseException as error:
            resume, value = items.athrow, error


async def _inner_async(steps: Steps, ended: list[State]) -> AsyncGenerator[Any, Any]:
    try:
        step: Any = next(steps)
        while True:
            try:
                value: Any = None
                if not isinstance(step, Call):
                    value = await step.run_async()
                else:
                    body = _Body(step)
                    more, value = await body.resume_async("send", None)
                    while more:
                        try:
                            how: tuple[str, Any] = "send", (yield value)
                        except GeneratorExit:
                            how = "close", None
                        except BaseException as error:
                            how = "throw", error
                        more, value = await body.resume_async(*how)
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(value)
    except StopIteration as stop:
        ended.append(stop.value)


class _Inside:
    """Awaits something in a context that is not the awaiting task's."""

    __slots__ = ("_awaitable", "_here")

    def __init__(self, here: contextvars.Context, awaitable: Awaitable[Any]) -> None:
        self._here, self._awaitable = here, awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._awaitable.__await__()
        resume, value = steps.send, None
        while True:
            try:
                waited_for = self._here.run(resume, value)
            except StopIteration as stop:
                return stop.value
            try:
                resume, value = steps.send, (yield waited_for)
            except BaseException as error:
                resume, value = steps.throw, error


def whole(fn: Callable[..., Any], is_async: bool) -> Callable[..., Any]:
    """A generator function as one that gives the list of its items, or a state that it returns."""

    def collect(*args: Any, **kwargs: Any) -> Any:
        items: list[Any] = []
        generator = fn(*args, **kwargs)
        while True:
            try:
                items.append(next(generator))
            except StopIteration as stop:
                return stop.value if isinstance(stop.value, State) else items

    async def collect_async(*args: Any, **kwargs: Any) -> Any:
        return [item async for item in fn(*args, **kwargs)]

    return collect_async if is_async else collect
