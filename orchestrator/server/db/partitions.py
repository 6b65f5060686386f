"""Daily partitions of ``event`` and ``log``; bounds are the smallest UUIDv7 of midnight UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone

from sqlalchemy import Connection, text

from ...ids import uuid7_floor

PARTITIONED = ("event", "log")
#: Days that exist before they come.
AHEAD = 7
#: Days before today that exist from the start: events may arrive late.
BEHIND = 14


def ensure_partitions(connection: Connection, at: datetime, oldest: Mapping[str, datetime] | None = None) -> list[str]:
    """Make the missing partitions from :data:`BEHIND` days before ``at`` to :data:`AHEAD` after.

    Args:
        oldest: By table, before which instant rows are dropped: no partition is made of days before it.

    Returns:
        Names of those made. Safe to run by many at once.
    """
    today = at.astimezone(timezone.utc).date()
    days = [today + timedelta(days=offset) for offset in range(-BEHIND, AHEAD + 1)]
    present = _present(connection)
    first = {table: instant.astimezone(timezone.utc).date() for table, instant in (oldest or {}).items()}
    wanted = [(table, day) for table in PARTITIONED for day in days if day >= first.get(table, days[0])]
    missing = [(table, day) for table, day in wanted if partition_name(table, day) not in present]
    for table, day in missing:
        low, high = (uuid7_floor(_midnight(d)) for d in (day, day + timedelta(days=1)))
        connection.execute(
            text(
                f"CREATE TABLE IF NOT EXISTS {partition_name(table, day)} PARTITION OF {table}"
                f" FOR VALUES FROM ('{low}') TO ('{high}')"
            )
        )
    return [partition_name(table, day) for table, day in missing]


def drop_partitions(connection: Connection, table: str, before: datetime) -> list[str]:
    """Drop the partitions of ``table`` whose whole day lies before ``before``; returns their names."""
    limit = before.astimezone(timezone.utc).date()
    old = sorted(name for name in _present(connection) if _day_of(name, table) and _day_of(name, table) < limit)  # type: ignore[operator]
    for name in old:
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
    return old


def partition_name(table: str, day: date) -> str:
    """Name of the partition that holds one day (UTC)."""
    return f"{table}_{day:%Y%m%d}"


def is_ours(item: object, name: str | None, kind: str, reflected: bool, compared_to: object) -> bool:
    """Alembic's ``include_object``: partitions are made by the retention loop, not by migrations."""
    return not (kind == "table" and reflected and compared_to is None and (name or "").startswith(("event_", "log_")))


def _present(connection: Connection) -> set[str]:
    rows = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN ('event'::regclass, 'log'::regclass)")
    )
    return {name for (name,) in rows}


def _day_of(name: str, table: str) -> date | None:
    prefix, _, digits = name.rpartition("_")
    return datetime.strptime(digits, "%Y%m%d").date() if prefix == table else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)
