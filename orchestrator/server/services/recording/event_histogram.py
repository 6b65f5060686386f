"""How many events there were, over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from sqlalchemy import ARRAY, Uuid, cast, func, select
from sqlalchemy.orm import Session

from ....errors import InvalidInput
from ....ids import uuid7_floor
from ...config import current
from ...db.models import Event
from .events import EventFilter, conditions

#: Most events that are counted at once; of more, the newest.
COUNTED = 500_000


@dataclass(frozen=True)
class Bucket:
    """The events of a stretch of time."""

    at: datetime
    total: int
    kinds: dict[str, int]


@dataclass(frozen=True)
class Histogram:
    """Events counted over time."""

    after: datetime
    before: datetime
    #: Length of a bucket.
    seconds: float
    total: int
    #: There are more events than are counted at once: the oldest are left out.
    cut: bool
    buckets: list[Bucket]


def count(session: Session, wanted: EventFilter, buckets: int) -> Histogram:
    """Count the events between ``wanted.after`` and ``wanted.before``, which are needed, by the time of their ids.

    Raises:
        InvalidInput: The time ends before it begins.
    """
    assert wanted.after is not None
    assert wanted.before is not None
    if wanted.after >= wanted.before:
        problem = "Must be before `before`."
        raise InvalidInput(f"after: {problem}", {"after": [problem]})
    # Nothing older is kept: buckets of it would be empty.
    after = max(wanted.after, min(wanted.before, datetime.now(timezone.utc)) - current().event_retention)
    after = min(after, wanted.before - timedelta(milliseconds=buckets))
    length = (wanted.before - after) / buckets
    bounds = [uuid7_floor(after + index * length) for index in range(buckets)]
    query = select(Event.id, Event.kind).where(*conditions(replace(wanted, after=after)))
    counted = query.order_by(Event.id.desc()).limit(COUNTED + 1).subquery()
    number = func.width_bucket(counted.c.id, cast(bounds, ARRAY(Uuid)))
    many_of = select(number, counted.c.kind, func.count()).group_by(number, counted.c.kind)
    found = [Bucket(after + index * length, 0, {}) for index in range(buckets)]
    total = 0
    for place, kind, many in session.execute(many_of):
        bucket = found[place - 1]
        found[place - 1] = replace(bucket, total=bucket.total + many, kinds={**bucket.kinds, kind: many})
        total += many
    return Histogram(after, wanted.before, length.total_seconds(), total, total > COUNTED, found)
