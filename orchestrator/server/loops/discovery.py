"""Begins looks through blocks that are due, and settles those that ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.mapping import discovery

INTERVAL = timedelta(seconds=5)
#: Blocks in one step.
BATCH = 100


def step(session: Session, now: datetime) -> int:
    """Settle, take in new blocks, begin; returns how many of the most frequent kind there were."""
    return discovery.step(session, now, BATCH)
