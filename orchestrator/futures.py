"""Futures: task runs that were submitted and whose results come later."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

from .errors import InvalidInput
from .results import State

R = TypeVar("R")

_lock = threading.Lock()
#: Set in threads of a pool: they run a task that has not begun rather than wait for it, so that no pool can deadlock.
pool_thread = threading.local()


class TaskFuture(Generic[R]):
    """A task run that may still be waiting or running. Await it in asynchronous code."""

    __slots__ = ("_begin", "_callbacks", "_loop", "name", "state", "task_run_id")

    def __init__(self, task_run_id: str, name: str) -> None:
        self.task_run_id = task_run_id
        self.name = name
        #: The final state; None until then.
        self.state: State | None = None
        self._callbacks: list[Callable[[TaskFuture[R]], None]] | None = []
        self._begin: Callable[[], None] | None = None
        #: The event loop that runs it, where one does.
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<TaskFuture {self.name}: {self.state.name if self.state else 'not done'}>"

    def done(self) -> bool:
        """Whether the task run is over."""
        return self.state is not None

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> R:
        """What the task returned, waiting for it.

        Args:
            timeout: Seconds to wait at most.
            raise_on_failure: Whether a task run that did not complete raises; else its exception is returned.

        Raises:
            TimeoutError: It was not done in time.
        """
        state = self.wait(timeout)
        if state is None:
            raise TimeoutError(f"{self.name} is not done after {timeout} seconds")
        value: R = state.result(raise_on_failure)
        return value

    def wait(self, timeout: float | None = None) -> State | None:
        """Wait for the end; the final state, or None when it was not done in time."""
        if self.state is not None:
            return self.state
        self._refuse_own_loop()
        if timeout is None and getattr(pool_thread, "busy", False) and asyncio._get_running_loop() is None:
            self.begin()
        passed = threading.Event()
        self.add_done_callback(lambda _: passed.set())
        passed.wait(timeout)
        return self.state

    def add_done_callback(self, callback: Callable[[TaskFuture[R]], None]) -> None:
        """Call ``callback(future)`` at the end; at once when it is over."""
        with _lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        callback(self)

    def __await__(self) -> Generator[Any, None, R]:
        if self.state is None:
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            self.add_done_callback(partial(_notify, loop, waiter))
            yield from waiter
        assert self.state is not None
        value: R = self.state.result()
        return value

    def prepare(self, begin: Callable[[], None]) -> None:
        """Say how the task run is begun; whoever calls :meth:`begin` first does it."""
        self._begin = begin

    def begin(self) -> None:
        """Run the task here, unless it was begun already."""
        if (begin := self.claim()) is not None:
            begin()

    def claim(self) -> Callable[[], None] | None:
        """Take the right to begin the task run; None when it is taken."""
        with _lock:
            begin, self._begin = self._begin, None
        return begin

    def resolve(self, state: State) -> None:
        """Set the final state and tell all who wait."""
        with _lock:
            self.state = state
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback(self)

    def runs_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which event loop runs it."""
        self._loop = loop

    def _refuse_own_loop(self) -> None:
        if self._loop is None:
            return
        try:
            same = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return
        if same:
            raise InvalidInput(f"{self.name} runs on this event loop: write `await future`, not `future.result()`")


def _notify(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None], future: TaskFuture[Any]) -> None:
    loop.call_soon_threadsafe(_wake, waiter)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class unmapped:
    """Marks an argument of ``task.map`` that every call gets whole."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def wait(futures: Iterable[TaskFuture[Any]], timeout: float | None = None) -> bool:
    """Wait for all futures; False when some were not done after ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    for future in list(futures):
        if future.wait(None if deadline is None else max(0.0, deadline - time.monotonic())) is None:
            return False
    return True


def as_completed(futures: Iterable[TaskFuture[R]], timeout: float | None = None) -> Iterator[TaskFuture[R]]:
    """The futures in the order in which they end.

    Raises:
        TimeoutError: Some were not done after ``timeout`` seconds.
    """
    listed = list(futures)
    done: list[TaskFuture[R]] = []
    news = threading.Condition()

    def note(future: TaskFuture[R]) -> None:
        with news:
            done.append(future)
            news.notify()

    for future in listed:
        future.add_done_callback(note)
    deadline = None if timeout is None else time.monotonic() + timeout
    for place in range(len(listed)):
        with news:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not news.wait_for(lambda place=place: len(done) > place, left):  # type: ignore[misc]
                raise TimeoutError(f"{len(listed) - place} of {len(listed)} task runs are not done")
        yield done[place]


_LEAVES = frozenset({type(None), bool, int, float, str, bytes, bytearray, complex, range})
#: How deep futures are looked for in arguments and return values.
_DEPTH = 20


def found_in(value: Any, depth: int = 0) -> list[TaskFuture[Any] | State]:
    """The futures and final states inside a value: alone, or in lists, tuples, sets and dicts."""
    kind = type(value)
    if kind in _LEAVES or depth > _DEPTH:
        return []
    if isinstance(value, (TaskFuture, State)):
        return [value]
    if kind is dict:
        inner: Iterable[Any] = value.values()
    elif kind in _CONTAINERS:
        inner = value
    else:
        return []
    found: list[TaskFuture[Any] | State] = []
    for item in inner:
        if type(item) not in _LEAVES:
            found += found_in(item, depth + 1)
    return found


_CONTAINERS = frozenset({list, tuple, set, frozenset})


def resolved(value: Any, depth: int = 0) -> Any:
    """The value with each done future and state replaced by its result; containers are made anew."""
    kind = type(value)
    if kind in _LEAVES or depth > _DEPTH:
        return value
    if isinstance(value, TaskFuture):
        assert value.state is not None
        return value.state.result()
    if isinstance(value, State):
        return value.result()
    if kind is dict:
        return {key: resolved(item, depth + 1) for key, item in value.items()}
    if kind in _CONTAINERS:
        return kind(resolved(item, depth + 1) for item in value)
    return value
