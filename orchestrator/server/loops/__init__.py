"""What the server does by the clock. Each loop is a module with ``INTERVAL`` and ``step(session, now) -> int``, which
does a bounded piece of work and tells how much it did.

Any number of processes may run them: a step takes a transaction-scoped lock of its loop and goes home when another
holds it, and what a loop makes has a unique key in any case.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta, timezone
from types import ModuleType

from ..db import session as database
from ..services import ticks
from ..services.statements import fetch
from . import (
    actions,
    collisions,
    discovery,
    dispatch,
    expectations,
    holds,
    late,
    leases,
    partitions,
    resources,
    retention,
    schedule,
    schedule_policies,
    triggers,
)

LOOPS: dict[str, ModuleType] = {
    "schedule": schedule,
    "schedule-policies": schedule_policies,
    "dispatch": dispatch,
    "leases": leases,
    "late": late,
    "partitions": partitions,
    "retention": retention,
    "discovery": discovery,
    "holds": holds,
    "triggers": triggers,
    "resources": resources,
    "actions": actions,
    "expectations": expectations,
    "collisions": collisions,
}

#: Advisory lock class of the loops (two-int form); the second number is the loop's place.
LOCK_CLASS = 0x0EC8
#: Most transactions in one round: what is left over waits for the next.
ROUNDS = 20

_NEVER = datetime.min.replace(tzinfo=timezone.utc)
#: When each loop was last noted by this process, without an error.
_noted: dict[str, datetime] = {}

_log = logging.getLogger(__name__)


def run(name: str, now: datetime, noted: timedelta = timedelta(0)) -> int:
    """Run one round of a loop: steps, each in a transaction of its own, as long as they are full.

    Args:
        noted: How long a round in which there was nothing to do need not be noted after another was.

    Returns:
        How much was done; 0 also when another process is at it.

    Raises:
        KeyError: There is no such loop.
        Exception: Whatever a step raised; the round is noted with its error all the same.
    """
    loop = LOOPS[name]
    began = time.perf_counter()
    done = 0
    try:
        for _ in range(ROUNDS):
            step = _step(name, loop, now)
            if step is None:
                return done
            done += step
            if step < loop.BATCH:
                break
    except Exception as error:
        _note(name, now, began, f"{type(error).__name__}: {error}".splitlines()[0])
        raise
    if done or not timedelta(0) <= now - _noted.get(name, _NEVER) < noted:
        _note(name, now, began, None)
    return done


def _step(name: str, loop: ModuleType, now: datetime) -> int | None:
    """One step, or None when another process holds the loop's lock."""
    place = list(LOOPS).index(name)
    with database.transaction() as session:
        lock = f"SELECT pg_try_advisory_xact_lock({LOCK_CLASS}, {place}) AS held"
        if not fetch(session, lock, {})[0].held:
            return None
        done: int = loop.step(session, now)
        return done


def _note(name: str, now: datetime, began: float, error: str | None) -> None:
    # No transaction that holds the event lock: readers of events would wait for it.
    with database.reading() as session:
        ticks.record(session, name, now, (time.perf_counter() - began) * 1000, error=error)
    _noted[name] = now if error is None else _NEVER
