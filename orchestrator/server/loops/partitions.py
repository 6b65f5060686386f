"""Makes the coming days' partitions of events and logs, and drops those that are kept no longer."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..config import current
from ..db.partitions import drop_partitions, ensure_partitions

INTERVAL = timedelta(minutes=10)
BATCH = 1000


def step(session: Session, now: datetime) -> int:
    """Make and drop; returns how many partitions were touched."""
    connection, settings = session.connection(), current()
    oldest = {"event": now - settings.event_retention, "log": now - settings.log_retention}
    dropped = [name for table, before in oldest.items() for name in drop_partitions(connection, table, before)]
    return len(dropped) + len(ensure_partitions(connection, now, oldest))
