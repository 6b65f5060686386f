"""Catching up after a time in which nobody took runs (no agent was there, the queue was paused, all slots were taken):
of the slots of a schedule that passed meanwhile, the latest alone is run.

The older ones become CANCELLED, named ``Skipped``. No agent can claim them from the moment that the newer slot is due,
so it does not matter whether an agent or the loop that ends them is back first. What somebody asked for is never
skipped: runs started by hand, retried ones, and those that an agent held before.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ..statements import CHANGE_RECORDED, SUPERSEDED, fetch

_SKIP = f"""
WITH picked AS (
    SELECT r.id FROM flow_run r WHERE r.state_type = 'SCHEDULED' AND {SUPERSEDED}
    ORDER BY r.due, r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED
),
moved AS (
    UPDATE flow_run r SET state_type = 'CANCELLED', state_name = 'Skipped', state_at = %(horizon)s,
        ended = %(horizon)s, state_message = 'Nobody took it in time, and a newer run of its schedule is due: '
            || 'only the latest is caught up. Retry it to have it run all the same.'
    FROM picked WHERE r.id = picked.id
    RETURNING r.*, NULL::jsonb AS details, %(horizon)s::timestamptz AS stamp
),
{CHANGE_RECORDED}
SELECT id FROM moved"""


def skip(session: Session, now: datetime, most: int) -> int:
    """End up to ``most`` runs that a newer slot of their schedule has overtaken; returns how many there were."""
    return len(fetch(session, _SKIP, {"horizon": now, "batch": most}))
