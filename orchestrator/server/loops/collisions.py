"""Cancels new runs of deployments that have as many runs as they may, where these say so."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.running import collisions

INTERVAL = timedelta(seconds=1)
#: Runs in one step.
BATCH = 200


def step(session: Session, now: datetime) -> int:
    """Cancel those; returns how many there were."""
    return collisions.cancel_new(session, now, BATCH)
