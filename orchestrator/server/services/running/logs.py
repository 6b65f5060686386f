"""Log lines of runs, for reading; they are written by :mod:`.reports`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ...db.models import Log
from ..paging import Page, check_limit, decode_id, page


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
    query = _narrow(wanted)
    if cursor:
        query = query.where(Log.id > decode_id(cursor))
    query = query.order_by(Log.id).limit(check_limit(limit) + 1)
    return page(session.scalars(query).all(), limit, lambda row: (row.id,))


def tail(
    session: Session, wanted: LogFilter, limit: int = 500, before: uuid.UUID | None = None
) -> tuple[list[Log], bool]:
    """The newest lines of a run's log (or, with ``wanted.after``, the next ones), in order.

    Args:
        before: Only lines before this one: what "load earlier" asks for.

    Returns:
        The lines, and whether there are more in the direction that was read.
    """
    query = _narrow(wanted)
    if before is not None:
        query = query.where(Log.id < before)
    if wanted.after is not None:
        onward = session.scalars(query.order_by(Log.id).limit(limit + 1)).all()
        return list(onward[:limit]), len(onward) > limit
    backward = session.scalars(query.order_by(Log.id.desc()).limit(limit + 1)).all()
    return list(reversed(backward[:limit])), len(backward) > limit


def _narrow(wanted: LogFilter) -> Select[Any]:
    query = select(Log).where(Log.flow_run_id == wanted.flow_run_id)
    if wanted.task_run_id is not None:
        query = query.where(Log.task_run_id == wanted.task_run_id)
    if wanted.level is not None:
        query = query.where(Log.level >= wanted.level)
    if wanted.search:
        query = query.where(Log.message.icontains(wanted.search, autoescape=True))
    if wanted.attempt is not None:
        query = query.where(Log.attempt == wanted.attempt)
    if wanted.after is not None:
        query = query.where(Log.id > wanted.after)
    return query
