"""Makes what is expected ahead of time, and judges what became of it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.expecting import expectation_judging

INTERVAL = timedelta(seconds=1)
#: Events, and deadlines, in one step.
BATCH = 1000


def step(session: Session, now: datetime) -> int:
    """Make, read, judge; returns how much was done."""
    return expectation_judging.step(session, now, BATCH)
