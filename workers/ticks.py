"""One step of a loop when a tick asks for it, or when ticks stay away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from orchestrator.clock import now
from orchestrator.server import hints, loops

from .app import app
from .broker import TICK_TASK

log = logging.getLogger("orchestrator.services")

#: A loop whose ticks stay away for this many of its intervals is stepped without.
PATIENCE = 3
#: So seldom it is written down that a loop goes round which finds nothing to do: less than health counts as late.
NOTED = timedelta(seconds=6)
#: Steps that a thread takes because steps of its own asked for them; then others have their turn.
CHAIN = 10


class Steps:
    """Runs steps, one at a time per loop, and remembers when each was last begun.

    Args:
        intervals: Seconds between two steps, by name of the loop.
        step: Called with the name of the loop.
    """

    def __init__(self, intervals: Mapping[str, float], step: Callable[[str], object]) -> None:
        self._intervals = dict(intervals)
        self._step = step
        self._locks = {name: threading.Lock() for name in intervals}
        self._wanted = dict.fromkeys(intervals, False)
        began = time.monotonic()
        self._last = dict.fromkeys(intervals, began)
        self._alone: set[str] = set()
        self._here = threading.local()

    def tick(self, name: str) -> bool:
        """A tick came. Returns whether a step was taken; a name that is no loop is ignored."""
        if name not in self._intervals:
            log.warning("ignored a tick for %r, which is no loop", name)
            return False
        if name in self._alone:
            self._alone.discard(name)
            log.info("ticks of %s are back", name)
        return self._run(name)

    def overdue(self) -> list[str]:
        """The loops whose last step is :data:`PATIENCE` intervals ago, or that go alone and are due again."""
        at = time.monotonic()
        patience = {name: 1 if name in self._alone else PATIENCE for name in self._intervals}
        return [n for n, every in self._intervals.items() if at - self._last[n] >= every * patience[n]]

    def step_all(self) -> None:
        """Take one step of every loop: at the start nobody waits for the first tick of a slow one."""
        for name in self._intervals:
            self._run(name)

    def step_overdue(self) -> None:
        """Take the steps that no tick asked for."""
        for name in self.overdue():
            if name not in self._alone:
                self._alone.add(name)
                log.warning("no tick of %s for %d intervals: is beat or Redis down? Stepping without", name, PATIENCE)
            self._run(name)

    def soon(self, name: str) -> bool:
        """Have the thread that takes a step take one of ``name`` right after it; False where this thread takes none."""
        then: dict[str, None] | None = getattr(self._here, "then", None)
        if then is None or name not in self._intervals:
            return False
        then[name] = None
        return True

    def _run(self, name: str) -> bool:
        """Take a step, and those that it asks for."""
        then: dict[str, None] = {}
        taken = self._take(name, then)
        for _ in range(CHAIN):
            if not then:
                break
            following = next(iter(then))
            del then[following]
            self._take(following, then)
        for left in then:
            hints.wake(left)
        return taken

    def _take(self, name: str, then: dict[str, None]) -> bool:
        self._here.then = then
        try:
            return self._step_now(name)
        finally:
            self._here.then = None

    def _step_now(self, name: str) -> bool:
        """Take a step; where one is being taken, whoever takes it takes another: it may have looked too early."""
        taken = False
        self._wanted[name] = True
        while self._wanted[name] and self._locks[name].acquire(blocking=False):
            taken = True
            try:
                self._wanted[name] = False
                self._last[name] = time.monotonic()
                self._step(name)
            except Exception:
                # The next tick tries again; the age of the last good step is in /health/ready.
                log.exception("the step of %s failed", name)
            finally:
                self._locks[name].release()
        return taken


steps = Steps(
    {name: loop.INTERVAL.total_seconds() for name, loop in loops.LOOPS.items()},
    lambda name: loops.run(name, now(), NOTED),
)


@app.task(name=TICK_TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def tick(*names: str) -> None:
    """Take one step of each of the loops, one after another."""
    for name in names:
        steps.tick(name)
