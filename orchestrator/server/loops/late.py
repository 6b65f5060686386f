"""Skips scheduled runs that are not caught up; names the others that nobody started in time ``Late``."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..services.running import catch_up
from ..services.schedule_statements import LATE_S
from ..services.statements import CHANGE_RECORDED, fetch

INTERVAL = timedelta(seconds=5)
#: Runs in one step.
BATCH = 400
#: How long after its time a run is late.
AFTER = timedelta(seconds=LATE_S)

_LATE = f"""
WITH picked AS (
    SELECT id FROM flow_run WHERE state_type = 'SCHEDULED' AND due < %(before)s AND state_name <> 'Late'
        AND work_queue_id IS NOT NULL AND (backfill_id IS NULL OR attempt > 0)
    ORDER BY due, id LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED
),
moved AS (
    UPDATE flow_run r SET state_name = 'Late', state_at = %(now)s, state_message = 'Due at '
        || to_char(r.due AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || ', and no agent has taken it yet.'
    FROM picked WHERE r.id = picked.id
    RETURNING r.*, NULL::jsonb AS details, %(now)s::timestamptz AS stamp
),
{CHANGE_RECORDED}
SELECT id FROM moved"""


def step(session: Session, now: datetime) -> int:
    """Skip and name late runs; returns how many of the more frequent kind there were."""
    skipped = catch_up.skip(session, now, BATCH)
    return max(skipped, len(fetch(session, _LATE, {"before": now - AFTER, "now": now, "batch": BATCH})))
