"""Expectations for looking at: by nine, again and again, of each run, with all that may become of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.expectations import MISSED, Arrival, Occurrence
from orchestrator.ids import uuid7
from orchestrator.server.db.models import Expectation, ExpectationOccurrence, Firing
from orchestrator.server.services.expecting import expectations
from orchestrator.server.services.expecting.expectation_watch import watch_of
from orchestrator.server.services.expecting.occurrences import new_row
from orchestrator.server.services.receiving import pings
from orchestrator.server.services.receiving.pings import Call
from tests.server_rows import ANN

_DAY, _MINUTE = timedelta(days=1), timedelta(minutes=1)
_NINE: dict[str, Any] = {
    "name": "delays-by-nine", "owner": "flight-data", "severity": "critical",
    "run": {"deployment": "delays/nightly"}, "grace": "2m", "by": "09:15",
    "every": {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "calendar": "weekdays"},
}  # fmt: skip
_FILES: dict[str, Any] = {
    "name": "files-of-all-stations", "owner": "ingest", "on": {"expect": "file.created"}, "for_each": "station",
    "every": {"cron": "0 20 * * *", "timezone": "Europe/Berlin"}, "by": "22:00", "each_of": ["BER", "HAM", "MUC"],
}  # fmt: skip
_FRESH: dict[str, Any] = {
    "name": "arrivals-are-fresh",
    "within": "24h",
    "severity": "info",
    "on": {"match": {"resource.id": "postgres://warehouse.internal/staging.arrivals"}, "expect": "resource.changed"},
}


def add(session: Session, now: datetime) -> dict[str, uuid.UUID]:
    """Fill in expectations and eleven days of occurrences; gives their ids by name."""
    start = now - 11 * _DAY
    nine, files, fresh = (expectations.create(session, item, ANN, start) for item in (_NINE, _FILES, _FRESH))
    for row in (nine, files):
        keys = row.document.get("each_of") or [""]
        session.add_all(_lived(session, row, keys, now))
    streak = Occurrence(now - 5 * _DAY, now - 5 * _DAY, now + _DAY / 2, now + _DAY / 2)
    session.add(new_row(fresh.id, "", streak, now))
    for row in (nine, files, fresh):
        row.materialised_to, row.refill = now + 7 * _DAY, None
    session.flush()
    _pings(session, now)
    return {row.name: row.id for row in (nine, files, fresh)}


def _pings(session: Session, now: datetime) -> None:
    """Jobs of a crontab: one that does well and is expected, one that fails, one that was never heard."""
    pings.create(session, "rotate-logs", None, "", ANN, now - 5 * _DAY)
    for name, state in (("backup-warehouse", "succeeded"), ("sync-crm", "failed")):
        _, token = pings.create(session, name, None, f"{name.replace('-', ' ')}, each night", ANN, now - 5 * _DAY)
        pings.hear(session, token, Call("started"), now - 40 * _MINUTE)
        pings.hear(session, token, Call(state, exit_code=0 if state == "succeeded" else 3), now - 31 * _MINUTE)
    beat = {"match": {"resource.id": "ping.backup-warehouse"}, "expect": "ping.succeeded"}
    expectations.create(session, {"name": "backup-stays-in-touch", "on": beat, "within": "25h"}, ANN, now - _DAY)


def _lived(
    session: Session, row: Expectation, keys: Iterable[str], now: datetime
) -> Iterable[ExpectationOccurrence | Firing]:
    windows = watch_of(session, row).timetable.windows(row.since, 30, now + 6 * _DAY)
    for place, window in enumerate(windows):
        for number, key in enumerate(keys):
            found = Occurrence(window.slot, window.opens, window.due, window.deadline, window.closes)
            fate = (place * 3 + number * 2) % 7
            if window.deadline <= now and fate != 4:
                after = 100 * _MINUTE if fate == 2 else window.deadline - window.opens - 7 * _MINUTE
                found = found.take(Arrival(window.opens + after if fate != 2 else window.deadline + after, "x"))
            found = found.judge(now)
            made = new_row(row.id, key, found, now)
            made.satisfied = found.satisfied
            if found.status == MISSED:
                made.judged, made.judged_late = window.deadline, place % 2 == 0
                yield Firing(
                    id=uuid7(), expectation_id=row.id, key=key, occasion=f"{key}|{place}", occurred=window.deadline,
                    reason=f"{row.name} ({key}): missed; expected by {window.due:%H:%M UTC on %A %Y-%m-%d}",
                    context={}, chain_id=uuid.uuid4(),
                )  # fmt: skip
            yield made
