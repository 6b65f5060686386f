"""What beat sends: one tick a loop, and nothing else. A tick that nobody took within its interval is worthless."""

from __future__ import annotations

import logging
import signal
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


@beat_init.connect  # type: ignore[untyped-decorator,unused-ignore]
def end_between_ticks(sender: beat.Service, **_: Any) -> None:
    """Have a signal end beat after the present tick. Celery's own handler closes the connection that a tick may be
    using at that moment, and can hang.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sender.stop())


app.conf.beat_max_loop_interval = 5
app.conf.beat_schedule = entries()
