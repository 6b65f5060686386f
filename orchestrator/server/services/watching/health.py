"""Whether the server can do its work, judged by progress: each loop's last round, not that a process is there."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import redis
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ...db import migrate, session
from .. import ticks
from ..configuring import secret_keys

#: How late a loop may be beyond three of its intervals before it counts as standing still.
GRACE = timedelta(seconds=10)
#: Unreadable blocks that are named.
NAMED = 5
#: How long a part may take to answer.
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Part:
    """One part and how it is."""

    ok: bool
    message: str = ""


@dataclass(frozen=True)
class Health:
    """All parts."""

    database: Part
    redis: Part
    #: Not counted in :attr:`ok`: all but the blocks that it names works.
    secrets: Part
    loops: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return self.database.ok and self.redis.ok and all(loop["ok"] for loop in self.loops.values())

    def parts(self) -> dict[str, Any]:
        """The parts as JSON."""
        return asdict(self)


_looking: dict[tuple[int, str], threading.Thread] = {}
_looking_lock = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_looking_lock=threading.Lock()))


def check(now: datetime, intervals: dict[str, timedelta], redis_url: str) -> Health:
    """Look at every part; takes at most some seconds, raises nothing.

    Args:
        now: The present instant.
        intervals: How often each loop should go round.
        redis_url: Empty when the server works without Redis.
    """
    database = _patiently(_database)
    ages = _ages(now) if database.ok else {}
    loops = {name: _loop(ages.get(name), interval) for name, interval in sorted(intervals.items())}
    secrets = _patiently(_secrets) if database.ok else Part(True)
    return Health(database, _patiently(_redis, redis_url), secrets, loops)


def _patiently(look: Callable[..., Part], *args: str) -> Part:
    """What ``look`` finds, or that it found nothing in time: a frozen server neither answers nor refuses. A look that
    hangs is not joined by another one.
    """
    key = (os.getpid(), look.__name__)
    found: list[Part] = []
    with _looking_lock:
        thread = _looking.get(key)
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=lambda: found.append(look(*args)), daemon=True, name=f"health{key[1]}")
            _looking[key] = thread
            thread.start()
            thread.join(PATIENCE_S)
    return found[0] if found else Part(False, f"does not answer within {PATIENCE_S:.0f} s")


def _database() -> Part:
    try:
        with session.engine().connect() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = {int(PATIENCE_S * 1000)}"))
            present = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError as error:
        return Part(False, f"does not answer: {_first_line(error)}")
    if present != _head():
        return Part(False, "its tables are of another version: run `orchestrator database upgrade`")
    return Part(True)


def _secrets() -> Part:
    try:
        with session.reading() as reading:
            found = secret_keys.check(reading)
    except SQLAlchemyError as error:
        return Part(False, f"cannot be looked at: {_first_line(error)}")
    if not found.unreadable_count:
        return Part(True)
    names = ", ".join(found.unreadable[:NAMED])
    more = f" and {found.unreadable_count - NAMED} more" if found.unreadable_count > NAMED else ""
    return Part(False, f"the secret key does not open {names}{more}; see `orchestrator secret-key check`")


@functools.cache
def _head() -> str | None:
    return migrate.head()


def _ages(now: datetime) -> dict[str, ticks.Age]:
    try:
        with session.reading() as reading:
            return ticks.ages(reading, now)
    except SQLAlchemyError:
        return {}


def _loop(age: ticks.Age | None, interval: timedelta) -> dict[str, Any]:
    limit = (3 * interval + GRACE).total_seconds()
    facts: dict[str, Any] = {"last_tick_age_s": None if age is None else round(age.age_s, 3)}
    facts["interval_s"] = interval.total_seconds()
    if age is None:
        message = "never went round: is the services process up?"
    elif age.age_s > limit:
        message = f"stands still: its last round was {age.age_s:.0f} s ago, by {age.by}"
    else:
        message = f"its last round failed: {age.error}" if age.error else ""
    return {**facts, "ok": not message, "message": message}


def _redis(url: str) -> Part:
    if not url:
        return Part(True, "not configured: agents poll over HTTP")
    try:
        _redis_client(url, os.getpid()).ping()
    except redis.RedisError as error:
        return Part(False, f"does not answer: {_first_line(error)}")
    return Part(True)


@functools.lru_cache(maxsize=4)
def _redis_client(url: str, _process: int) -> redis.Redis:
    return redis.Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S)


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
