"""Takes back what silent agents hold, gives up runs whose own process is silent, ends cancels and suspensions that
nobody answered, moves on what nobody resumed in time, takes back slots
of limits that are not renewed, and sends agents for the hooks of ends that nobody called.

A lapsed lease counts only once the API itself has been up for a full lease: while it was away, nobody could renew.
A run whose code may have begun becomes CRASHED. One that was still PENDING is queued again, since RUNNING is confirmed
before user code starts and the old attempt is refused from then on; after :data:`ATTEMPTS` it is CRASHED as well.
One that was started by hand becomes CRASHED, ``Lost``: its process may only be cut off, and tell its end later.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ...clock import to_text
from ...documents.records import Actor, State
from ...errors import TransitionRefused
from ...states import LOST, SUSPENDED, SUSPENDING, StateType
from ..config import current, lease_by_hand
from ..services import ticks
from ..services.configuring import slots
from ..services.running import left_hooks, questions
from ..services.running.transitions import apply
from ..services.statements import BY_HAND, fetch

S = StateType

INTERVAL = timedelta(seconds=5)
#: Runs in one step.
BATCH = 100
#: A run that was claimed so often, without ever starting, is not queued again.
ATTEMPTS = 5
#: How long after the stop grace a cancel without an answer is taken as done.
CANCEL_MARGIN = timedelta(seconds=30)

_UNCONFIRMED = "nobody confirmed that its processes are gone."

SWEEPER = Actor("server", name="leases")

_LAPSED = f"""
SELECT r.id, r.attempt, r.state_type, r.state_name, r.lease_until, r.created_by, {BY_HAND} AS is_by_hand,
    a.name, a.last_heartbeat, a.stopped
FROM flow_run r LEFT JOIN agent a ON a.id = r.agent_id
WHERE r.lease_until < %(now)s AND ({BY_HAND} AND %(up)s >= %(lease_by_hand)s OR NOT {BY_HAND} AND %(up)s >= %(lease)s)
ORDER BY r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED"""

_UNANSWERED = f"""
SELECT r.id, r.state_name, r.state_message, {BY_HAND} AS is_by_hand FROM flow_run r
WHERE r.state_type = 'CANCELLING'
    AND r.state_at < CASE WHEN {BY_HAND} THEN %(before)s::timestamptz ELSE %(before_hooks)s END
ORDER BY r.id LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED"""

_NOT_RESUMED = """
SELECT id FROM flow_run WHERE suspended_until <= %(now)s AND state_type = 'PAUSED'
ORDER BY id LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED"""


def step(session: Session, now: datetime) -> int:
    """Settle lapsed leases, unanswered cancels and suspensions that time out; returns how many runs were
    moved, or slots taken back."""
    moved = 0
    up = ticks.api_up_for(session, now)
    leases = {"lease": current().lease, "lease_by_hand": lease_by_hand()}
    for row in fetch(session, _LAPSED, {"now": now, "up": up, **leases, "batch": BATCH}):
        moved += _move(session, row.id, _lost(row, now) if row.is_by_hand else _after_lapse(row, now), now)
    before = now - current().stop_grace - CANCEL_MARGIN
    # An agent answers once the hooks for the cancel were called.
    before_hooks = before - current().hook_timeout
    for row in fetch(session, _UNANSWERED, {"before": before, "before_hooks": before_hooks, "batch": BATCH}):
        moved += _move(session, row.id, _unanswered(row, now), now)
    for row in fetch(session, _NOT_RESUMED, {"now": now, "batch": BATCH}):
        moved += questions.expire(session, row.id, SWEEPER, now)
    moved = max(moved, left_hooks.send(session, SWEEPER, now, BATCH))
    return max(moved, slots.sweep(session, now, BATCH))


def _unanswered(row: Any, now: datetime) -> State:
    if row.state_name == SUSPENDING:
        return State(S.PAUSED, SUSPENDED, f"{row.state_message} But {_UNCONFIRMED}", now)
    told = "it was started by hand, and its process was not stopped." if row.is_by_hand else _UNCONFIRMED
    return State(S.CANCELLED, message=f"Cancelled; {told}", at=now)


def _lost(row: Any, now: datetime) -> State:
    """What becomes of a run by hand whose process is silent."""
    process, since = row.created_by.get("name") or "", row.lease_until - lease_by_hand()
    told = f"Its process{process and f' {process}'}, started by hand, is silent: it was last heard of at {_when(since)}"
    if row.state_type == S.CANCELLING:
        return State(S.CANCELLED, message=f"{told}; a cancel had been asked for.", at=now)
    details = {"code": "process-silent", "process": process, "last_heard": _when(since)}
    message = f"{told}, its lease lapsed at {_when(row.lease_until)}."
    return State(S.CRASHED, LOST, message, now, details)


def _after_lapse(row: Any, now: datetime) -> State:
    told = f"Agent {row.name or 'unknown'} is silent: its last heartbeat was at {_when(row.last_heartbeat)}"
    if row.stopped is not None:
        told = f"Agent {row.name} stopped at {_when(row.stopped)} and left the run behind"
    if row.state_type == S.CANCELLING and row.state_name == SUSPENDING:
        return State(S.PAUSED, SUSPENDED, f"{told}; it was being suspended.", now)
    if row.state_type == S.CANCELLING:
        return State(S.CANCELLED, message=f"{told}; a cancel had been asked for.", at=now)
    if row.state_type == S.PENDING and row.attempt < ATTEMPTS:
        return State(S.SCHEDULED, message=f"{told}, before the run began: queued again.", at=now)
    details = {"code": "lease-lapsed", "agent": row.name, "last_heartbeat": _when(row.last_heartbeat)}
    message = f"{told}, the run's lease lapsed at {_when(row.lease_until)}."
    return State(S.CRASHED, message=message, at=now, details=details)


def _move(session: Session, run_id: uuid.UUID, state: State, now: datetime) -> int:
    try:
        apply(session, run_id, state, attempt=None, actor=SWEEPER, now=now)
    except TransitionRefused:  # a cancel was asked for while it was PENDING, or it ended with its parent just now
        return 0
    return 1


def _when(instant: datetime | None) -> str:
    return "an unknown time" if instant is None else to_text(instant)
