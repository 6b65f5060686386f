"""Expectations: the list with its calendar, and one expectation with what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.clock import from_text
from orchestrator.expectations import DUE, LATE, MET, MISSED, STATUSES, read, sentence
from orchestrator.server.db.models import Deployment, Expectation, Firing
from orchestrator.server.services.expecting import expectation_etas, expectations, occurrences
from orchestrator.server.services.expecting.expectation_etas import Outlook
from orchestrator.server.services.expecting.expectations import ExpectationFilter
from orchestrator.server.services.expecting.occurrences import OccurrenceFilter, OccurrenceRow
from orchestrator.server.services.paging import Page

from ..looks import Look
from .expectation_form import written

DAY = timedelta(days=1)
#: Days that the calendar shows; how many of them lie before today at first.
DAYS, BACK = 14, 9
#: What the sign of a day stands for, the worst first.
WORST = (MISSED, LATE, DUE, MET)
LOOKS = {
    DUE: Look("pending", "clock", "Due"),
    MET: Look("completed", "circle-check", "Met"),
    LATE: Look("late", "alert-triangle", "Late"),
    MISSED: Look("failed", "circle-x", "Missed"),
}


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    text: str = ""
    owner: str = ""
    #: First day of the calendar; None: so that today stands to the right.
    start: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return bool(self.text or self.owner)


@dataclass
class Cell:
    """What became of one expectation on one day."""

    day: datetime
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def worst(self) -> Look | None:
        """The look of the worst of it."""
        return LOOKS[self._status] if self.counts else None

    @property
    def _status(self) -> str:
        return next(status for status in WORST if self.counts.get(status))

    @property
    def told(self) -> str:
        """All of it, in words."""
        return ", ".join(f"{self.counts[status]} {status}" for status in WORST if self.counts.get(status))

    @property
    def number(self) -> int:
        """How many occurrences are as the worst one."""
        return self.counts[self._status]


@dataclass(frozen=True)
class Row:
    """An expectation with its days."""

    expectation: Expectation
    sentence: str
    cells: list[Cell]


@dataclass(frozen=True)
class Listing:
    """What the page shows."""

    page: Page[Expectation]
    rows: list[Row]
    days: list[datetime]
    today: datetime
    earlier: str
    later: str


@dataclass(frozen=True)
class One:
    """One expectation with what became of it."""

    expectation: Expectation
    sentence: str
    document: str
    occurrences: Page[OccurrenceRow]
    counts: dict[str, int]
    open: list[Firing]
    status: str
    #: ``flow/name`` of the deployment whose document it is in; empty: it is nobody's.
    owner_name: str
    #: When those that are due next will probably be met, by their ids.
    outlooks: dict[uuid.UUID, Outlook] = field(default_factory=dict)


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address; a time that is none counts as not given."""
    try:
        start = _day(from_text(f"{arguments.get('from', '')}T00:00:00Z"))
    except ValueError:
        start = None
    return Asked(str(arguments.get("q", "")).strip(), str(arguments.get("owner", "")).strip(), start)


def listing(session: Session, wanted: Asked, now: datetime, cursor: str | None) -> Listing:
    """One page of expectations, by name, with the days of the calendar."""
    only = ExpectationFilter(name=wanted.text or None, owner=wanted.owner or None)
    page = expectations.listing(session, only, 50, cursor)
    start = wanted.start or _day(now) - BACK * DAY
    days = [start + number * DAY for number in range(DAYS)]
    cells = {row.id: [Cell(day) for day in days] for row in page.items}
    for found in occurrences.by_day(session, start, start + DAYS * DAY, list(cells)):
        cells[found.id][(found.day - start) // DAY].counts[found.status] = found.number
    rows = [Row(row, sentence(read(row.document)), cells[row.id]) for row in page.items]
    earlier, later = (f"{start + change:%Y-%m-%d}" for change in (-7 * DAY, 7 * DAY))
    return Listing(page, rows, days, _day(now), earlier, later)


def load(session: Session, expectation: Expectation, status: str, cursor: str | None, now: datetime) -> One:
    """One expectation; ``status`` narrows its occurrences."""
    status = status if status in STATUSES else ""
    only = OccurrenceFilter(expectation.id, status or None, before=None if status else now + 2 * DAY)
    firings = select(Firing).where(Firing.expectation_id == expectation.id, Firing.state == "open")
    rows = occurrences.listing(session, only, 50, cursor)
    return One(
        expectation,
        sentence(read(expectation.document)),
        written(expectation.document),
        rows,
        occurrences.tally(session, [expectation.id], now - 30 * DAY)[expectation.id],
        list(session.scalars(firings.order_by(Firing.id.desc()).limit(20))),
        status,
        _owner_name(session, expectation),
        expectation_etas.outlooks(session, [(row.occurrence, row.expectation) for row in rows.items], now),
    )


def _owner_name(session: Session, expectation: Expectation) -> str:
    owner = session.get(Deployment, expectation.deployment_id) if expectation.deployment_id else None
    return f"{owner.flow.name}/{owner.name}" if owner else ""


def _day(at: datetime) -> datetime:
    return at.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
