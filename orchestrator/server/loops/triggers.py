"""Holds events against triggers, and lets the clock decide what did not come in time."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.reacting import evaluation

INTERVAL = timedelta(seconds=0.75)
#: Events in one step.
BATCH = 500


def step(session: Session, now: datetime) -> int:
    """Take in the next events; returns how many there were, or :data:`BATCH` when there is more to decide."""
    return evaluation.step(session, now, BATCH)
