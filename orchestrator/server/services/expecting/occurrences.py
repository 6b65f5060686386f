"""Occurrences of expectations: as they are stored, listed, and shown on a calendar."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.orm import Session

from ....clock import from_text, to_text
from ....errors import InvalidInput
from ....expectations import Arrival, Occurrence
from ....ids import uuid7
from ...db.models import Expectation, ExpectationOccurrence
from ..paging import Page, check_limit, decode, page
from ..statements import execute

#: How long they are kept.
KEPT = timedelta(days=400)
#: Longest stretch of a calendar, and most occurrences that it shows one by one.
SPAN_MAX, SHOWN_MAX = timedelta(days=93), 2000

_FORGET = """
DELETE FROM expectation_occurrence WHERE id IN (
    SELECT id FROM expectation_occurrence WHERE due < %(before)s ORDER BY due LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""


@dataclass(frozen=True)
class OccurrenceFilter:
    """Which occurrences a list shows; what is None does not restrict."""

    expectation_id: uuid.UUID | None = None
    status: str | None = None
    key: str | None = None
    #: By when they are due.
    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class OccurrenceRow:
    """An occurrence with its expectation."""

    occurrence: ExpectationOccurrence
    expectation: Expectation


def new_row(expectation_id: uuid.UUID, key: str, occurrence: Occurrence, now: datetime) -> ExpectationOccurrence:
    """A row of an occurrence, not yet in the database."""
    row = ExpectationOccurrence(id=uuid7(), expectation_id=expectation_id, key=key, judged_late=False)
    write(row, occurrence, now)
    return row


def state_of(row: ExpectationOccurrence, count: int) -> Occurrence:
    """A row as the judge takes it."""
    hits = tuple(Arrival(from_text(at), ref) for at, ref in row.hits)
    return Occurrence(row.slot, row.opens, row.due, row.deadline, row.closes, count, row.status, hits)


def write(row: ExpectationOccurrence, found: Occurrence, now: datetime) -> None:
    """Put what the judge found into the row."""
    row.slot, row.opens, row.due = found.slot, found.opens, found.due
    row.deadline, row.closes, row.status = found.deadline, found.closes, found.status
    row.hits = [[to_text(hit.at), hit.ref] for hit in found.hits]
    row.updated = now


def listing(
    session: Session, wanted: OccurrenceFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[OccurrenceRow]:
    """A page of occurrences, the latest due first."""
    key = (ExpectationOccurrence.due, ExpectationOccurrence.id)
    query = _restricted(_rows(), wanted or OccurrenceFilter())
    if cursor:
        query = query.where(tuple_(*key) < tuple_(*decode(cursor, from_text, uuid.UUID)))
    rows = session.execute(query.order_by(*(column.desc() for column in key)).limit(check_limit(limit) + 1)).all()
    found = [OccurrenceRow(*row) for row in rows]
    return page(found, limit, lambda row: (to_text(row.occurrence.due), row.occurrence.id))


def by_day(session: Session, start: datetime, end: datetime, ids: list[uuid.UUID]) -> list[Any]:
    """How many occurrences of some expectations are due in [start, end), by day of UTC and status: rows with ``id``,
    ``day``, ``status`` and ``number``.
    """
    row = ExpectationOccurrence
    day = func.date_trunc("day", row.due, "UTC").label("day")
    query = select(row.expectation_id.label("id"), day, row.status, func.count().label("number"))
    query = query.where(row.expectation_id.in_(ids), row.due >= start, row.due < end)
    return list(session.execute(query.group_by("id", "day", row.status)))


def calendar(session: Session, start: datetime, end: datetime) -> list[OccurrenceRow]:
    """Occurrences due in [start, end), by due time, at most :data:`SHOWN_MAX`. Raises InvalidInput as above."""
    _check_span(start, end)
    query = _restricted(_rows(), OccurrenceFilter(after=start, before=end))
    query = query.order_by(ExpectationOccurrence.due, ExpectationOccurrence.id).limit(SHOWN_MAX)
    return [OccurrenceRow(*row) for row in session.execute(query).all()]


def tally(session: Session, ids: list[uuid.UUID], since: datetime) -> dict[uuid.UUID, dict[str, int]]:
    """How many occurrences of each expectation became what since an instant, by status."""
    row = ExpectationOccurrence
    query = select(row.expectation_id, row.status, func.count())
    query = query.where(row.expectation_id.in_(ids), row.due >= since).group_by(row.expectation_id, row.status)
    found: dict[uuid.UUID, dict[str, int]] = {identifier: {} for identifier in ids}
    for identifier, status, number in session.execute(query):
        found[identifier][status] = number
    return found


def forget(session: Session, now: datetime, batch: int) -> int:
    """Delete some of those that are kept no longer; returns how many."""
    return execute(session, _FORGET, {"before": now - KEPT, "batch": batch})


def _rows() -> Any:
    joined = Expectation.id == ExpectationOccurrence.expectation_id
    return select(ExpectationOccurrence, Expectation).join(Expectation, joined)


def _restricted(query: Select[Any], wanted: OccurrenceFilter) -> Select[Any]:
    row = ExpectationOccurrence
    conditions = []
    for column, value in (
        (row.expectation_id, wanted.expectation_id),
        (row.status, wanted.status),
        (row.key, wanted.key),
    ):
        if value is not None:
            conditions.append(column == value)
    if wanted.after is not None:
        conditions.append(row.due >= wanted.after)
    if wanted.before is not None:
        conditions.append(row.due < wanted.before)
    return query.where(and_(True, *conditions))


def _check_span(start: datetime, end: datetime) -> None:
    if not timedelta(0) < end - start <= SPAN_MAX:
        problem = f"Must be later than `from`, and at most {SPAN_MAX.days} days."
        raise InvalidInput(f"to: {problem}", {"to": [problem]})
