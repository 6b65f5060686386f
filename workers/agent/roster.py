"""The attempts that an agent answers for: those it executes, and those whose end is not yet known to the server."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable

from orchestrator.reporting import Reporter

from .api import Held
from .supervision import Supervision
from .verdict import Ask

#: Seconds that one attempt to hand over what was reported may take.
HAND_OVER = 10.0
#: Seconds between two attempts while the API is away.
AGAIN = 1.0


class Roster:
    """Who is running here. An attempt stays in :meth:`held` until the server has its terminal state.

    Args:
        reporter: Carries the terminal states.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._change = threading.Condition()
        self._running: dict[Held, Supervision] = {}
        self._unsettled: dict[Held, uuid.UUID] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._settle, name="settle", daemon=True)

    def start(self) -> None:
        """Begin to see to it that ends become known."""
        self._thread.start()

    def close(self) -> None:
        """Stop doing so."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def add(self, held: Held, supervision: Supervision) -> None:
        """An attempt begins."""
        with self._change:
            self._running[held] = supervision
            self._change.notify_all()

    def end(self, held: Held, producer: uuid.UUID, told: bool) -> None:
        """An attempt ended; ``told``: its terminal state was put, and has to arrive."""
        with self._change:
            self._running.pop(held, None)
            if told:
                self._unsettled[held] = producer
            self._change.notify_all()
        if not told:
            self._reporter.retire(producer)

    def held(self) -> list[Held]:
        """The attempts whose leases to renew."""
        with self._change:
            return [*self._running, *self._unsettled]

    @property
    def running(self) -> int:
        """How many attempts are executed."""
        return len(self._running)

    def ask(self, attempts: Iterable[Held], what: Ask) -> None:
        """Take attempts down; what is not running is ignored."""
        with self._change:
            found = [self._running[held] for held in attempts if held in self._running]
        for supervision in found:
            supervision.ask(what)

    def stop_all(self, hurry: bool, what: Ask = Ask.STOP) -> None:
        """Take all down, for a reason; with ``hurry`` at once."""
        with self._change:
            found = [*self._running.values()]
        for supervision in found:
            supervision.ask(what)
            if hurry:
                supervision.kill()

    def wait_running(self, timeout: float, enough: Callable[[], bool] = lambda: False) -> bool:
        """Wait until nothing runs, or ``enough`` says so; returns whether nothing runs."""
        return self._wait(timeout, lambda: not self._running, enough)

    def wait_settled(self, timeout: float) -> bool:
        """Wait until every end is known to the server; returns whether it is."""
        return self._wait(timeout, lambda: not self._unsettled, lambda: False)

    def _wait(self, timeout: float, done: Callable[[], bool], enough: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + timeout
        with self._change:
            while not done() and not enough() and (left := deadline - time.monotonic()) > 0:
                self._change.wait(min(left, 0.2))
            return done()

    def _settle(self) -> None:
        while True:
            with self._change:
                while not self._unsettled and not self._closed:
                    self._change.wait()
                if self._closed:
                    return
                ended = dict(self._unsettled)
            if not self._reporter.flush(HAND_OVER):
                time.sleep(AGAIN)
                continue
            with self._change:
                for held in ended:
                    self._unsettled.pop(held, None)
                self._change.notify_all()
            for producer in ended.values():
                self._reporter.retire(producer)
