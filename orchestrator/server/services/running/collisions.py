"""What becomes of a run that is due while its deployment has as many runs as it may: it waits, or it is cancelled.

New runs alone are cancelled: what an agent held before, or somebody retried, waits for its turn, and so do the runs of
a backfill, which are meant to. It happens when the
clock finds them, and at the end of a run at the latest, in the transaction that makes room: so none slips through
between two rounds.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Session

from ..statements import CHANGE_RECORDED, fetch, held

CANCEL_NEW = "cancel-new"

#: Runs that hold the place of a run ``r``; ``left`` are those that ended in this very transaction.
_BUSY = f"""(SELECT count(*) FROM flow_run h WHERE h.deployment_id = d.id AND {held("h")})"""
_HOLDER = f"""(SELECT h.name || ' (' || h.id || ')' FROM flow_run h WHERE h.deployment_id = d.id AND {held("h")}
        ORDER BY h.id LIMIT 1)"""

_CANCEL = f"""
WITH picked AS (
    SELECT r.id, CASE WHEN d.concurrency_limit = 0 THEN 'Its deployment ' || d.name || ' is limited to no run at all.'
        ELSE 'It was due while its deployment ' || d.name || ' had as many runs as it may at once ('
            || d.concurrency_limit || ')' || coalesce(': ' || coalesce(%(ended)s::text, {_HOLDER}), '') || '.'
        END || ' Retry it to have it run all the same.' AS told
    FROM deployment d JOIN flow_run r ON r.deployment_id = d.id
    WHERE d.collision = '{CANCEL_NEW}' AND d.concurrency_limit IS NOT NULL
        AND (%(deployment)s::uuid IS NULL OR d.id = %(deployment)s)
        AND r.state_type = 'SCHEDULED' AND r.due <= %(now)s AND r.attempt = 0 AND r.work_queue_id IS NOT NULL
        AND r.backfill_id IS NULL
        AND {_BUSY} + %(left)s >= d.concurrency_limit
        AND NOT EXISTS (SELECT 1 FROM flow_run_state s WHERE s.flow_run_id = r.id AND s.type = 'CANCELLED')
    ORDER BY r.due, r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED
),
moved AS (
    UPDATE flow_run r SET state_type = 'CANCELLED', state_name = 'Skipped', state_at = %(now)s, ended = %(now)s,
        state_message = picked.told
    FROM picked WHERE r.id = picked.id
    RETURNING r.*, NULL::jsonb AS details, %(now)s::timestamptz AS stamp
),
{CHANGE_RECORDED}
SELECT id FROM moved"""


def cancel_new(session: Session, now: datetime, most: int) -> int:
    """Cancel up to ``most`` new runs that find no place beside others; returns how many there were."""
    wanted = {"deployment": None, "left": 0, "ended": None, "now": now, "batch": most}
    return len(fetch(session, _CANCEL, wanted))


def cancel_beside(session: Session, deployment_id: uuid.UUID, ended: str, now: datetime, most: int) -> None:
    """The same of one deployment as a run of it, called ``ended``, makes room in this transaction."""
    fetch(session, _CANCEL, {"deployment": deployment_id, "left": 1, "ended": ended, "now": now, "batch": most})
