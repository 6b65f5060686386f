"""Calendars by their names: the days that schedules and expectations go by."""

from __future__ import annotations

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import NotFound
from ....timing import calendars
from ....timing.calendars import BUILT_IN, Calendar
from ...db.models import CalendarDays


def get(session: Session, ref: str | uuid.UUID) -> CalendarDays:
    """A calendar by name or id. Raises NotFound."""
    of = CalendarDays.id == ref if isinstance(ref, uuid.UUID) else CalendarDays.name == ref
    found = session.scalar(select(CalendarDays).where(of))
    if found is None:
        raise NotFound(f"there is no calendar {ref}: `orchestrator calendar set {ref} ...` makes it")
    return found


def days(session: Session, name: str) -> Calendar:
    """The days of a calendar; all without a name. Raises NotFound."""
    if not name:
        return BUILT_IN["every-day"]
    if name in BUILT_IN:
        return BUILT_IN[name]
    return days_of(get(session, name))


def days_of(row: CalendarDays) -> Calendar:
    """A stored calendar's days."""
    return calendars.read({"weekdays": row.weekdays, "holidays": row.holidays, "extra": row.extra})
