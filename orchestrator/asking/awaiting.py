"""Waiting for people and for messages: how far a run is with it, and how code waits, blocking or not."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..client import Client, patiently
from ..context import FlowRun
from ..errors import Conflict, NotFound

T = TypeVar("T")

#: Seconds that one request waits at the server.
WAIT_S = 20.0
#: Seconds between two requests where the server is too busy to have them wait.
REST_S = 2.0
#: Seconds within which the server has to hear of a run that this process has reported.
KNOWN_S = 60.0

#: The module whose frames enter user code: ``run`` where it is ordinary, ``run_async`` where it is ``async``.
_ENGINE = "orchestrator.engine.runs"


@dataclass
class Waits:
    """What one try of a run has asked and read so far."""

    #: Questions that were asked without a key.
    asked: int = 0
    #: By key prefix, the position of the last message that was received.
    read: dict[str | None, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def waits_of(run: FlowRun) -> Waits:
    """How far a run is; noted from now on."""
    if run.waits is None:
        run.waits = Waits()
    return run.waits


def either(work: Callable[[Stop], T]) -> Any:
    """Do what waits: in ordinary code it blocks, and gives what ``work`` gives; called by ``async`` code it gives an
    awaitable of that, and the event loop goes on meanwhile.

    Args:
        work: Waits; it stops to where it is told to stop.
    """
    return in_thread(work) if _called_async() else work(Stop())


class Stop:
    """Tells what waits in a thread that nobody is interested any more."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def tell(self) -> None:
        self._told.set()

    def rest(self, seconds: float) -> None:
        """Let time pass, or raise Stopped."""
        if self._told.wait(seconds):
            raise Stopped

    def check(self) -> None:
        """Raise Stopped where it was told."""
        if self._told.is_set():
            raise Stopped


class Stopped(BaseException):
    """What waited in a thread was given up."""


async def in_thread(work: Callable[[Stop], T]) -> T:
    """What ``work`` gives, done in a thread of its own, which never keeps the process from ending."""
    loop, stop = asyncio.get_running_loop(), Stop()
    future: asyncio.Future[T] = loop.create_future()
    carried = contextvars.copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def run() -> None:
        value, problem = None, None
        try:
            value = carried.run(work, stop)
        except BaseException as error:
            problem = error
        try:
            loop.call_soon_threadsafe(settle, value, problem)
        except RuntimeError:  # the loop was closed meanwhile
            pass

    threading.Thread(target=run, name="waits", daemon=True).start()
    try:
        return await future
    finally:
        stop.tell()


def _called_async() -> bool:
    """Whether the user's code that called us is ``async``: a coroutine is nearer on the stack than the engine's own way
    into ordinary code."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
            return True
        if frame.f_globals.get("__name__") == _ENGINE and frame.f_code.co_name == "run":
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return True  # a callback of the loop: nothing may block there


def known(run: FlowRun, call: Callable[[], T], stop: Stop) -> T:
    """What ``call`` gives; made again while the server has not heard of the run yet: reports take their time."""
    if run.sink is not None:
        run.sink.flush(KNOWN_S)
    deadline = time.monotonic() + KNOWN_S
    while True:
        try:
            return patiently(call)
        except NotFound:
            if time.monotonic() > deadline:
                raise
        stop.rest(0.2)


def polled(look: Callable[[float], T], is_done: Callable[[T], bool], stop: Stop, seconds: float | None = None) -> T:
    """Look until it is done, or the time is over; the last that was seen.

    Args:
        look: Asks the server, which may wait for so many seconds before it answers.
        seconds: How long to go on; None: for ever.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        began = time.monotonic()
        left = WAIT_S if deadline is None else max(0.0, min(WAIT_S, deadline - began))
        found = patiently(lambda: look(left))  # noqa: B023 called at once
        stop.check()
        if is_done(found) or (deadline is not None and time.monotonic() >= deadline):
            return found
        if time.monotonic() - began < left / 2:
            rest = REST_S if deadline is None else min(REST_S, max(0.0, deadline - time.monotonic()))
            stop.rest(rest)


def client_of(what: str, run: FlowRun | None) -> Client:
    """The client of the configured API. Raises Conflict where the run is not tracked."""
    if run is not None and run.sink is None:
        raise Conflict(
            f"{what} needs an API that people can reach it by: set ORCHESTRATOR_API_URL, or choose a profile"
        )
    return Client.from_settings()


def get(client: Client, path: str, wait_s: float, **params: Any) -> Any:
    """Read something that the server may wait for."""
    query = {"wait_s": f"{wait_s:g}", **params}
    return client.request("GET", path, params=query, timeout=wait_s + client.timeout)
