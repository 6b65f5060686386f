"""What beat sends: one tick a loop, and nothing else. A tick that nobody took within its interval is worthless."""

from __future__ import annotations

from typing import Any

from orchestrator.server.loops import LOOPS

from .app import app
from .broker import SERVICES_QUEUE, TICK_TASK


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


# Kept in memory: the schedule is the same after every start, and a file of it could only be stale.
app.conf.beat_scheduler = "celery.beat:Scheduler"
app.conf.beat_max_loop_interval = 5
app.conf.beat_schedule = entries()
