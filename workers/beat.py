"""What beat sends: ticks of loops, those that are due together in one message, and nothing else. A tick that nobody
took within its interval is worthless.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import redis
from celery import beat
from celery.signals import beat_init

from orchestrator.server.loops import LOOPS

from .app import app
from .broker import SERVICES_QUEUE, SOCKETS, TICK_TASK, redis_url

log = logging.getLogger("orchestrator.beat")

#: Ticks that may wait in Redis. Nobody takes them while the services process is away, and every one of them that is
#: older than its interval is thrown away when it is back.
WAITING_MAX = 4 * len(LOOPS)
#: Seconds by which a tick goes out too early when another one goes out anyway: a message costs more than most steps.
LEEWAY = 0.25


def entries() -> dict[str, dict[str, Any]]:
    """The schedule of ticks, from each loop's own interval."""
    return {
        name: {
            "task": TICK_TASK,
            "schedule": loop.INTERVAL,
            "args": (name,),
            "options": {"queue": SERVICES_QUEUE, "expires": loop.INTERVAL.total_seconds()},
        }
        for name, loop in LOOPS.items()
    }


class Ticks(beat.Scheduler):  # type: ignore[misc,unused-ignore]
    """Sends ticks while somebody takes them. Its entries lie in memory: a file of them could only be stale.

    What keeps it from sending is said once, not at every tick.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._redis = redis.Redis.from_url(redis_url(self.app), **SOCKETS)
        self._trouble = ""
        #: When the next tick of each entry is due, on the monotonic clock.
        self._due: dict[str, float] = {}

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; returns the seconds until there is more. Celery's own sends each entry by itself."""
        at = time.monotonic()
        found = {name: entry for name, entry in self.schedule.items() if self._due.get(name, at) <= at + LEEWAY}
        if any(self._due.get(name, at) <= at for name in found):
            for name, entry in found.items():
                self._due[name] = max(self._due.get(name, at), at) + seconds(entry)
            self.apply_entry(self._together(list(found.values())))
        following: float = min([at + self.max_interval, *self._due.values()])
        return max(0.0, following - time.monotonic())

    def _together(self, due: Sequence[beat.ScheduleEntry]) -> beat.ScheduleEntry:
        """One entry for all of these, the quick ones first; it lives as long as the slowest of them would."""
        due = sorted(due, key=seconds)
        names = [name for entry in due for name in entry.args]
        options = {"queue": SERVICES_QUEUE, "expires": seconds(due[-1])}
        return self.Entry(
            name=" ".join(names), task=TICK_TASK, schedule=due[-1].schedule, args=names, options=options, app=self.app
        )

    def apply_entry(self, entry: beat.ScheduleEntry, producer: Any = None) -> None:
        """Send a tick, or leave it out: the next one comes soon, and services step without when none comes."""
        try:
            trouble = "nobody takes them; is the services process up?" if self._is_crowded() else ""
            if not trouble:
                self.apply_async(entry, producer=producer, advance=False)
        except (redis.RedisError, OSError, beat.SchedulingError) as error:
            trouble = str(error) or type(error).__name__
        if bool(trouble) != bool(self._trouble):
            log.warning("ticks are sent again" if not trouble else "no ticks are sent: %s", *filter(None, [trouble]))
        self._trouble = trouble

    def _is_crowded(self) -> bool:
        return int(self._redis.llen(SERVICES_QUEUE)) >= WAITING_MAX


def seconds(entry: beat.ScheduleEntry) -> float:
    """Between two ticks of an entry."""
    every: timedelta = entry.schedule.run_every
    return every.total_seconds()


@beat_init.connect  # type: ignore[untyped-decorator,unused-ignore]
def end_between_ticks(sender: beat.Service, **_: Any) -> None:
    """Have a signal end beat after the present tick. Celery's own handler closes the connection that a tick may be
    using at that moment, and can hang.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())


app.conf.beat_max_loop_interval = 5
app.conf.beat_schedule = entries()
