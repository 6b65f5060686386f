"""Calendars: which days count, for schedules and expectations to go by."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput
from ....ids import uuid7
from ....timing import calendars, icalendars
from ....timing.calendars import BUILT_IN
from ...db.models import CalendarDays, Deployment, Expectation, Flow, Schedule
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from . import schedules
from .calendar_days import get

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 14))")


def put(
    session: Session, name: str, document: Mapping[str, Any], actor: Actor, now: datetime
) -> tuple[CalendarDays, bool]:
    """Set a calendar by its name; it is made when it is missing. What is expected from now on goes by it, and so do
    the runs that schedules made ahead: they are made anew.

    Args:
        document: ``description``, ``weekdays``, ``holidays``, ``extra``; ``ical``, the text of an iCalendar file, whose
            dates are holidays as well.

    Returns:
        It, and whether it is new.

    Raises:
        InvalidInput: A weekday or a date is none, the file cannot be understood, or the name is that of a calendar that
            is there from the start.
    """
    if name in BUILT_IN:
        raise InvalidInput(f"name: {name} is there from the start: take another name", {"name": ["Take another name."]})
    listed = icalendars.read(document["ical"], now.date()) if document.get("ical") else []
    read = calendars.read({**document, "holidays": [*(document.get("holidays") or ()), *listed]})
    session.execute(_LOCK, {"name": name})
    found = session.scalar(select(CalendarDays).where(CalendarDays.name == name))
    is_new, before = found is None, None if found is None else _plain(found)
    row = found or CalendarDays(id=uuid7(now), name=name, created=now)
    session.add(row)
    row.description = document.get("description") or ""
    row.weekdays = [calendars.WEEKDAYS[day] for day in sorted(read.weekdays)]
    row.holidays, row.extra, row.updated = sorted(read.holidays), sorted(read.extra), now
    session.flush()
    if not is_new:
        ids = select(Schedule.id).where(Schedule.calendar == name, Schedule.active)
        schedules.drop_ahead(session, list(session.scalars(ids)), now)
    verb = "created" if is_new else "updated"
    announce(session, f"calendar.{verb}", _label(row), actor, now, before=before, after=_plain(row))
    return row, is_new


def listing(session: Session, limit: int = 50, cursor: str | None = None) -> Page[CalendarDays]:
    """A page of calendars, by name."""
    query = select(CalendarDays)
    if cursor:
        query = query.where(CalendarDays.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(CalendarDays.name).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.name,))


def delete(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> None:
    """Delete a calendar. Raises NotFound, and Conflict while expectations or schedules go by it."""
    found = get(session, ref)
    name = text("coalesce(document->'every'->>'calendar', document->>'calendar') = :name").bindparams(name=found.name)
    users = list(session.scalars(select(Expectation.name).where(name).order_by(Expectation.name).limit(20)))
    if users:
        raise Conflict(f"calendar {found.name} is used by {', '.join(users)}", {"expectations": users})
    if users := _schedules(session, found.name):
        raise Conflict(f"calendar {found.name} is used by {', '.join(users)}", {"schedules": users})
    session.delete(found)
    session.flush()
    announce(session, "calendar.deleted", _label(found), actor, now, before=_plain(found))


def _schedules(session: Session, name: str) -> list[str]:
    """Schedules that go by a calendar: ``flow/deployment/slug``."""
    query = select(Flow.name, Deployment.name, Schedule.slug).select_from(Schedule)
    query = query.join(Deployment, Deployment.id == Schedule.deployment_id).join(Flow, Flow.id == Deployment.flow_id)
    rows = session.execute(query.where(Schedule.calendar == name).order_by(Flow.name, Deployment.name).limit(20))
    return ["/".join(row) for row in rows]


def _plain(row: CalendarDays) -> dict[str, Any]:
    days = {name: [str(day) for day in getattr(row, name)] for name in ("weekdays", "holidays", "extra")}
    return {"description": row.description, **days}


def _label(row: CalendarDays) -> dict[str, str]:
    return resource("calendar", row.id, row.name)
