"""Futures: task runs that were submitted and whose results come later."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from .clock import real_time as time
from .errors import InvalidInput
from .results import State
from .states import StateType

if TYPE_CHECKING:
    from .context import TaskRun

R = TypeVar("R")

_lock = threading.Lock()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)

#: Set in threads of a pool: they run a task that has not begun rather than wait for it, so that no pool can deadlock.
pool_thread = threading.local()


class TaskFuture(Generic[R]):
    """A task run that may still be waiting or running. Await it in asynchronous code."""

    __slots__ = ("_begin", "_callbacks", "_loop", "_run", "final_state", "name", "task_run_id")

    def __init__(self, task_run_id: str, name: str) -> None:
        self.task_run_id = task_run_id
        self.name = name
        #: The final state; None until then.
        self.final_state: State | None = None
        self._callbacks: list[Callable[[TaskFuture[R]], None]] | None = []
        self._begin: Callable[[], None] | None = None
        #: The event loop that runs it, where one does.
        self._loop: asyncio.AbstractEventLoop | None = None
        #: The task run, until it is over.
        self._run: TaskRun | None = None

    def __repr__(self) -> str:
        return f"<TaskFuture {self.name}: {self.state.name}>"

    @property
    def state(self) -> State:
        """The present state: PENDING until the task run begins, RUNNING while it goes on, then the final one."""
        if self.final_state is not None:
            return self.final_state
        run = self._run
        return State(StateType.RUNNING if run is not None and run.attempt else StateType.PENDING)

    def done(self) -> bool:
        """Whether the task run is over."""
        return self.final_state is not None

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
        if self.final_state is not None:
            return self.final_state
        self._refuse_own_loop()
        if timeout is None and getattr(pool_thread, "busy", False) and asyncio._get_running_loop() is None:
            self.begin()
        passed = threading.Event()
        self.add_done_callback(lambda _: passed.set())
        passed.wait(timeout)
        return self.final_state

    def add_done_callback(self, callback: Callable[[TaskFuture[R]], None]) -> None:
        """Call ``callback(future)`` at the end; at once when it is over."""
        with _lock:
            if self._callbacks is not None:
                self._callbacks.append(callback)
                return
        callback(self)

    def __await__(self) -> Generator[Any, None, R]:
        if self.final_state is None:
            loop = asyncio.get_running_loop()
            waiter = loop.create_future()
            self.add_done_callback(partial(_notify, loop, waiter))
            yield from waiter
        assert self.final_state is not None
        value: R = self.final_state.result()
        return value

    def prepare(self, begin: Callable[[], None]) -> None:
        """Say how the task run is begun; whoever calls :meth:`begin` first does it."""
        self._begin = begin

    def follows(self, run: TaskRun) -> None:
        """Say which task run it is the future of, so that it can tell whether that has begun."""
        self._run = run

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
            self.final_state, self._run = state, None
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
    """Marks an argument of ``task.map`` that every call gets whole; it may hold an ``allow_failure``."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Waited(NamedTuple):
    """What :func:`wait` found."""

    done: set[TaskFuture[Any]]
    not_done: set[TaskFuture[Any]]


def wait(futures: Iterable[TaskFuture[Any]], timeout: float | None = None) -> Waited:
    """Wait until all futures are done, or for ``timeout`` seconds; the sets ``done`` and ``not_done``."""
    listed = list(futures)
    deadline = None if timeout is None else time.monotonic() + timeout
    for future in listed:
        if future.wait(None if deadline is None else max(0.0, deadline - time.monotonic())) is None:
            break
    done = {future for future in listed if future.done()}
    return Waited(done, set(listed) - done)


class FutureList(list[TaskFuture[R]]):
    """The futures of a ``map``, in the order of what was gone through: a list with two more methods."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all are done, or for ``timeout`` seconds."""
        wait(self, timeout)

    def result(self, timeout: float | None = None, raise_on_failure: bool = True) -> list[R]:
        """What the task returned each time, waiting for all.

        Args:
            timeout: Seconds to wait at most, for all together.
            raise_on_failure: Whether the first that did not complete raises; else its exception is in the list.

        Raises:
            TimeoutError: Some were not done in time.
        """
        waited = wait(self, timeout)
        if waited.not_done:
            raise TimeoutError(f"{len(waited.not_done)} of {len(self)} task runs are not done after {timeout} seconds")
        return [future.result(raise_on_failure=raise_on_failure) for future in self]


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
