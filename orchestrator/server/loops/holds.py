"""Releases holds that are over, and keeps up with what touches what the others hold."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.acting import holds

INTERVAL = timedelta(seconds=5)
#: Holds in one step: all there can be.
BATCH = holds.IN_FORCE_MAX + 1


def step(session: Session, now: datetime) -> int:
    """See to all holds in force; returns how many there are."""
    return holds.step(session, now, BATCH)
