"""How often triggers fired of late, for lists of them."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from sqlalchemy.orm import Session

from ....ids import uuid7_floor
from ..statements import fetch

#: Days that are counted, today included.
DAYS = 7
#: Firings of one trigger that are counted at most: the newest.
MOST = 1000

_FIRED = """
SELECT t.id AS trigger_id, f.fired::date AS day, count(*) AS number
FROM unnest(%(ids)s) AS t(id)
CROSS JOIN LATERAL (
    SELECT (fired AT TIME ZONE 'UTC') AS fired FROM firing
    WHERE trigger_id = t.id AND id >= %(since)s ORDER BY id DESC LIMIT %(most)s) AS f
GROUP BY t.id, f.fired::date"""
_LAST = """
SELECT t.id AS trigger_id, f.fired, f.suppressed
FROM unnest(%(ids)s) AS t(id)
CROSS JOIN LATERAL (
    SELECT fired, suppressed FROM firing WHERE trigger_id = t.id ORDER BY id DESC LIMIT 1) AS f"""


@dataclass(frozen=True)
class Activity:
    """The firings of one trigger; those that were suppressed count as well."""

    #: When it fired last, and why nothing was done then (empty: something was).
    last: datetime | None
    suppressed: str
    #: Firings of each of the last days, of UTC, today last.
    days: list[int]

    @property
    def total(self) -> int:
        """Firings of all these days."""
        return sum(self.days)

    @property
    def is_cut(self) -> bool:
        """Whether there were more than are counted."""
        return self.total >= MOST


def of(session: Session, ids: Sequence[uuid.UUID], now: datetime) -> dict[uuid.UUID, Activity]:
    """The activity of each of some triggers."""
    if not ids:
        return {}
    today = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=DAYS - 1)
    counts: dict[uuid.UUID, Counter[int]] = {identifier: Counter() for identifier in ids}
    for row in fetch(session, _FIRED, {"ids": list(ids), "since": uuid7_floor(since), "most": MOST}):
        counts[row.trigger_id][(row.day - since.date()).days] += row.number
    last = {row.trigger_id: row for row in fetch(session, _LAST, {"ids": list(ids)})}
    return {
        identifier: Activity(
            last[identifier].fired if identifier in last else None,
            last[identifier].suppressed if identifier in last else "",
            [counts[identifier][day] for day in range(DAYS)],
        )
        for identifier in ids
    }
