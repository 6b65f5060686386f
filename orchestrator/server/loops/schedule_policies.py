"""Goes by what schedules say of overlap and failure: skips, cancels, stops."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.deploying import schedule_policies

INTERVAL = timedelta(seconds=2)
#: Runs in one step.
BATCH = 200


def step(session: Session, now: datetime) -> int:
    """Do what is due; returns how much of the most frequent kind there was."""
    return schedule_policies.step(session, now, BATCH)
