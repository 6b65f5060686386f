"""Takes back what silent agents hold, and ends cancels that nobody answered.

A lapsed lease counts only once the API itself has been up for a full lease: while it was away, agents could not renew.
A run whose code may have begun becomes CRASHED. One that was still PENDING is queued again, since RUNNING is confirmed
before user code starts and the old attempt is refused from then on; after :data:`ATTEMPTS` it is CRASHED as well.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ...clock import to_text
from ...errors import TransitionRefused
from ...records import Actor, State
from ...states import StateType
from ..config import current
from ..services import ticks
from ..services.statements import fetch
from ..services.transitions import apply

S = StateType

INTERVAL = timedelta(seconds=5)
#: Runs in one step.
BATCH = 100
#: A run that was claimed so often, without ever starting, is not queued again.
ATTEMPTS = 5
#: How long after the stop grace a cancel without an answer is taken as done.
CANCEL_MARGIN = timedelta(seconds=30)

SWEEPER = Actor("server", name="leases")

_LAPSED = """
SELECT r.id, r.attempt, r.state_type, r.lease_until, a.name, a.last_heartbeat, a.stopped
FROM flow_run r LEFT JOIN agent a ON a.id = r.agent_id WHERE r.lease_until < %(now)s
ORDER BY r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED"""

_UNANSWERED = """
SELECT id FROM flow_run WHERE state_type = 'CANCELLING' AND state_at < %(before)s
ORDER BY id LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED"""


def step(session: Session, now: datetime) -> int:
    """Settle lapsed leases and unanswered cancels; returns how many runs were moved."""
    moved = 0
    if ticks.api_up_for(session, now) >= current().lease:
        for row in fetch(session, _LAPSED, {"now": now, "batch": BATCH}):
            moved += _move(session, row.id, _after_lapse(row, now), now)
    before = now - current().stop_grace - CANCEL_MARGIN
    for row in fetch(session, _UNANSWERED, {"before": before, "batch": BATCH}):
        state = State(S.CANCELLED, message="Cancelled; nobody confirmed that its processes are gone.", at=now)
        moved += _move(session, row.id, state, now)
    return moved


def _after_lapse(row: Any, now: datetime) -> State:
    told = f"Agent {row.name or 'unknown'} was last heard of at {_when(row.last_heartbeat)}"
    if row.stopped is not None:
        told = f"Agent {row.name} stopped at {_when(row.stopped)} and left the run behind"
    if row.state_type == S.CANCELLING:
        return State(S.CANCELLED, message=f"{told}; a cancel had been asked for.", at=now)
    if row.state_type == S.PENDING and row.attempt < ATTEMPTS:
        return State(S.SCHEDULED, message=f"{told}, before the run began: queued again.", at=now)
    details = {"code": "lease-lapsed", "agent": row.name, "last_heartbeat": _when(row.last_heartbeat)}
    return State(S.CRASHED, message=f"{told}; its lease lapsed at {_when(row.lease_until)}.", at=now, details=details)


def _move(session: Session, run_id: uuid.UUID, state: State, now: datetime) -> int:
    try:
        apply(session, run_id, state, attempt=None, actor=SWEEPER, now=now)
    except TransitionRefused:  # a cancel was asked for while it was PENDING, or it ended with its parent just now
        return 0
    return 1


def _when(instant: datetime | None) -> str:
    return "an unknown time" if instant is None else to_text(instant)
