"""What a backfill does with slots that have runs already."""

from __future__ import annotations

import enum


class Reprocess(str, enum.Enum):
    """Which slots that have runs get another one. A slot whose run has not ended never does."""

    #: None of them.
    NONE = "none"
    #: Those whose last run failed, crashed or was cancelled.
    FAILED = "failed"
    #: Those, and the ones whose last run completed.
    COMPLETED = "completed"
