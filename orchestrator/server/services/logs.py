"""Log lines of runs, for reading; they are written by :mod:`.reports`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..db.models import Log
from .paging import Page, check_limit, decode_id, page


@dataclass(frozen=True)
class LogFilter:
    """Which lines of one flow run a list shows; what is None does not restrict."""

    flow_run_id: uuid.UUID
    task_run_id: uuid.UUID | None = None
    #: Least level, Python's numbers: 30 shows warnings and worse.
    level: int | None = None
    #: Text that the message holds, whatever its case.
    search: str | None = None
    attempt: int | None = None
    #: Only lines after this one: what a live view asks for.
    after: uuid.UUID | None = None


def listing(session: Session, wanted: LogFilter, limit: int = 50, cursor: str | None = None) -> Page[Log]:
    """A page of log lines, oldest first, in the order in which the server accepted them."""
    query = select(Log).where(Log.flow_run_id == wanted.flow_run_id)
    if wanted.task_run_id is not None:
        query = query.where(Log.task_run_id == wanted.task_run_id)
    if wanted.level is not None:
        query = query.where(Log.level >= wanted.level)
    if wanted.search:
        query = query.where(Log.message.icontains(wanted.search, autoescape=True))
    if wanted.attempt is not None:
        query = query.where(Log.attempt == wanted.attempt)
    for last in (wanted.after, decode_id(cursor) if cursor else None):
        if last is not None:
            query = query.where(Log.id > last)
    query = query.order_by(Log.id).limit(check_limit(limit) + 1)
    return page(session.scalars(query).all(), limit, lambda row: (row.id,))
