"""When each loop last went round, and since when the API has been up: what readiness and expiry are judged by."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..config import current
from ..db.models import Tick
from .statements import execute

#: The row that each API process renews every heartbeat, and the one that holds since when this went on unbroken.
API, API_SINCE = "api", "api-since"

_RECORD = """
INSERT INTO tick (loop, at, took_ms, by, error) VALUES (%(loop)s, %(at)s, %(took_ms)s, %(by)s, %(error)s)
ON CONFLICT (loop) DO UPDATE
SET at = excluded.at, took_ms = excluded.took_ms, by = excluded.by, error = excluded.error"""


@dataclass(frozen=True)
class Age:
    """How long ago a loop went round."""

    age_s: float
    took_ms: float
    by: str
    error: str | None


def record(
    session: Session, loop: str, now: datetime, took_ms: float = 0.0, by: str | None = None, error: str | None = None
) -> None:
    """Note that a loop went round at ``now``; ``by`` is host:pid of this process when not given."""
    values = {"at": now, "took_ms": took_ms, "by": by or f"{socket.gethostname()}:{os.getpid()}", "error": error}
    execute(session, _RECORD, {"loop": loop, **values})


def ages(session: Session, now: datetime) -> dict[str, Age]:
    """The age of the last round of every loop that ever went round, by name."""
    rows = session.scalars(select(Tick).where(Tick.loop != API_SINCE))
    return {row.loop: Age((now - row.at).total_seconds(), row.took_ms, row.by, row.error) for row in rows}


def api_alive(session: Session, now: datetime) -> None:
    """Note that an API process is up: each does this every heartbeat, in a thread of its own."""
    last = session.scalar(select(Tick.at).where(Tick.loop == API).with_for_update())
    record(session, API, now)
    if last is None or now - last > _longest_gap():
        record(session, API_SINCE, now)


def api_up_for(session: Session, now: datetime) -> timedelta:
    """How long the API has been up without a break; zero when it is not up now.

    A break is a silence of four fifths of a lease: shorter than a lease, so an outage that could have kept an agent
    from renewing is always seen before that agent's leases lapse.
    """
    rows = {row.loop: row.at for row in session.scalars(select(Tick).where(Tick.loop.in_([API, API_SINCE])))}
    if API not in rows or API_SINCE not in rows or now - rows[API] > _longest_gap():
        return timedelta(0)
    return max(now - rows[API_SINCE], timedelta(0))


def _longest_gap() -> timedelta:
    return current().lease * 0.8
