"""Ids of events that come with an id of another system: made from it, so that a redelivery is one event here, too."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

from ..ids import uuid7_from
from .config import current

#: As services/events has them: ids ahead of the clock and ids of dropped days are refused.
_AHEAD, _MARGIN = timedelta(minutes=5), timedelta(days=1)


def foreign_id(occurred: datetime | None, source: str, now: datetime) -> uuid.UUID:
    """The id of an event that another system names ``source``.

    It carries the time of the event, or the day of its arrival where the event has no time or one that no partition
    takes: then a redelivery of the next day is an event of its own.
    """
    oldest = now - current().event_retention + _MARGIN
    if occurred is not None and oldest <= occurred <= now + _AHEAD:
        return uuid7_from(occurred, source)
    today = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return uuid7_from(max(today, oldest), source)
