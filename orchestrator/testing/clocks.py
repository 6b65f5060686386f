"""A clock that tests move."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from .. import clock


class FakeClock:
    """Stands still until something waits, or :meth:`advance` is called.

    Attributes:
        sleeps: Seconds of each wait of the engine, such as before a retry, in their order.
    """

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("start has no time zone: use an aware time")
        self._now = start or clock.now()
        self._lock = threading.Lock()
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        """What time it is for the flow."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._now += timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Wait without waiting."""
        self.sleeps.append(seconds)
        self.advance(seconds)


@contextmanager
def fake_clock(start: datetime | None = None) -> Iterator[FakeClock]:
    """While the ``with`` lasts, waits before retries take no time, and times of states are the clock's.

    ``time.sleep`` and ``datetime.now`` of the flow's own code are left alone, and so are time-outs.

    Args:
        start: What time it is at first, aware; now, when not given.
    """
    fake = FakeClock(start)
    before = clock.use(fake)
    try:
        yield fake
    finally:
        clock.use(before)
