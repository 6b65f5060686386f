"""Requests that wait for something in Postgres: one thread a process asks for all of them together."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError

#: Seconds between two looks while somebody waits.
LOOK_S = 0.2
#: ... and after Postgres did not answer.
REST_S = 2.0

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Waiter:
    """One who waits; what is waited for says a subclass."""

    woken: threading.Event = field(default_factory=threading.Event, init=False)


W = TypeVar("W", bound=Waiter)


class Room(Generic[W]):
    """Those of one kind who wait in this process, and the thread that looks for them; it ends when nobody waits.

    Args:
        name: Of the thread.
        look: Sets ``woken`` of those who have waited long enough; may raise what Postgres raises.
    """

    def __init__(self, name: str, look: Callable[[Sequence[W]], None]) -> None:
        self._name, self._look = name, look
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiters: set[W] = set()
        self._look_now = threading.Event()
        self._thread: threading.Thread | None = None

    def wait(self, waiter: W, timeout: float) -> bool:
        """Wait for at most ``timeout`` seconds; tells whether the waiter was woken."""
        self._after_fork()
        with self._lock:
            self._waiters.add(waiter)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._look_now.set()
        woken = waiter.woken.wait(timeout)
        with self._lock:
            self._waiters.discard(waiter)
        return woken

    def wake(self) -> None:
        """Look at once."""
        self._after_fork()
        if self._waiters:
            self._look_now.set()

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self._reset()

    def _run(self) -> None:
        while True:
            with self._lock:
                waiters = list(self._waiters)
                if not waiters:
                    self._thread = None
                    return
            pause = LOOK_S
            try:
                self._look(waiters)
            except SQLAlchemyError as error:
                _log.warning("%s: Postgres does not answer (%s)", self._name, error)
                pause = REST_S
            self._look_now.wait(pause)
            self._look_now.clear()
