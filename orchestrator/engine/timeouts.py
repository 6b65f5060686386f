"""Ends that come from outside the code: time-outs and termination.

Time-outs are enforced: by a timer signal in the main thread, by cancellation on an event loop.

Nothing stops a blocking call in another thread, so a time-out there is refused rather than ignored. The signal breaks
into Python code and into blocking calls that return on signals (sleep, sockets, locks, subprocesses); a call into C
that never returns to the interpreter is stopped only by an agent's supervisor, from outside.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from ..clock import real_time as time
from ..errors import InvalidInput
from ..states import StateType

#: Whether this platform has timer signals.
ALARMS = hasattr(signal, "setitimer")


class TimeIsUp(BaseException):
    """Breaks into code that ran too long. Not an ``Exception``, so that user code does not swallow it by chance."""

    def __init__(self, alarm: Alarm | None = None) -> None:
        super().__init__("time is up")
        self.alarm = alarm


class Leave(BaseException):
    """Ends a flow run in a state, from within: it is suspended, or was cancelled while it waited.

    Not an ``Exception``, so that user code does not swallow it by chance.
    """

    def __init__(self, kind: StateType, name: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.name, self.message = kind, name, message


class Terminated(SystemExit):
    """The process was told to end: unwinds it with the exit code that a shell shows for SIGTERM."""


@contextmanager
def termination() -> Iterator[None]:
    """While the ``with`` lasts, SIGTERM raises :class:`Terminated`, unless the user's code handles it itself."""
    ours = threading.current_thread() is threading.main_thread()
    ours = ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if ours and signal.getsignal(signal.SIGTERM) is _terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated(128 + number)


def can_interrupt() -> bool:
    """Whether a time-out of synchronous code can be enforced in this thread."""
    return ALARMS and threading.current_thread() is threading.main_thread()


def check(seconds: float | None, what: str) -> float | None:
    """Check a ``timeout_seconds``. Raises InvalidInput."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < 1e8:
        raise InvalidInput(f"timeout_seconds of {what} is {seconds!r}: it has to be more than 0 seconds")
    return float(seconds)


def refuse(what: str, how: str) -> InvalidInput:
    """The error for a time-out that nothing could enforce."""
    return InvalidInput(
        f"the time-out of {what} cannot be enforced {how}: nothing can stop a thread. "
        "call it directly in the main thread, make it `async def`, let the flow's tasks run in processes "
        "(task_runner=ProcessRunner()), or give the flow a time-out and run it on an agent"
    )


class Alarm:
    """Raises :class:`TimeIsUp` in the main thread when its block takes longer than ``seconds``. Alarms nest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.deadline = 0.0

    def __enter__(self) -> Alarm:
        if not _stack:
            _take_over()
        self.deadline = time.monotonic() + self._seconds
        _stack.append(self)
        _arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stack.remove(self)
        if _stack:
            _arm()
        else:
            _give_back()


_stack: list[Alarm] = []
_before: dict[str, Any] = {}


def _take_over() -> None:
    _before["handler"] = signal.signal(signal.SIGALRM, _ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    _before["timer"] = (time.monotonic() + left if left else 0.0, interval)


def _give_back() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, _before["handler"] or signal.SIG_DFL)
    due, interval = _before["timer"]
    if due:
        signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 0.000_001), interval)


def _arm() -> None:
    due = min(alarm.deadline for alarm in _stack)
    signal.setitimer(signal.ITIMER_REAL, max(due - time.monotonic(), 0.000_001))


def _ring(number: int, frame: FrameType | None) -> None:
    moment = time.monotonic()
    for alarm in _stack:  # the outermost first: it ends the inner ones too
        if alarm.deadline <= moment:
            alarm.deadline = moment + 1.0  # rings again when the code swallowed it
            _arm()
            raise TimeIsUp(alarm)
    if _stack:
        _arm()
