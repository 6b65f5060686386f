"""What may be said of a backfill: its range, and what becomes of slots that have runs already."""

from __future__ import annotations

import enum
import re
from datetime import date, datetime

from ..clock import from_text

_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class Reprocess(str, enum.Enum):
    """Which slots that have runs get another one. A slot whose run has not ended never does."""

    #: None of them.
    NONE = "none"
    #: Those whose last run failed, crashed or was cancelled.
    FAILED = "failed"
    #: Those, and the ones whose last run completed.
    COMPLETED = "completed"


def bound(text: str) -> date | datetime:
    """One end of a range of slots: a date, ``2026-01-31``, for all of that day in the schedule's time zone; or an
    instant with its offset. Raises ValueError.
    """
    return date.fromisoformat(text) if _DATE.fullmatch(text) else from_text(text)
