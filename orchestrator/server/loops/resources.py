"""Keeps our own things among the resources, and applies new rules about resources to what is there."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.mapping import own_resources, resource_edits

INTERVAL = timedelta(seconds=5)
#: Resources in one step.
BATCH = 2_000


def step(session: Session, now: datetime) -> int:
    """Returns how many resources came, went or were merged."""
    return max(own_resources.step(session, now, BATCH), resource_edits.apply_rules(session, now, BATCH))
