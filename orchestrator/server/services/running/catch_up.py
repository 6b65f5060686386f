"""Runs of schedules that are not run any more: those that are caught up by no one, and those that find no place.

After a time in which nobody took runs (no agent was there, the queue was paused, all slots were taken) a schedule's
``catch_up`` says which of them are run: as a rule the latest alone. While an earlier run goes on, its ``overlap`` says
what becomes of the next. The others become CANCELLED, named ``Skipped``. No agent can claim them from the moment that
this holds, so it does not matter whether an agent or the loop that ends them is back first. What somebody asked for is
never skipped: runs started by hand, retried ones, and those that an agent held before.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ..schedule_statements import NO_PLACE, SUPERSEDED
from ..statements import CHANGE_RECORDED, fetch

_TOLD = {
    SUPERSEDED: """'Nobody took it in time, and '
            || CASE (SELECT s.catch_up FROM schedule s WHERE s.id = r.schedule_id)
                WHEN 'latest' THEN 'a newer run of its schedule is due: only the latest is caught up.'
                WHEN 'window' THEN 'it is later than its schedule catches up.'
                ELSE 'its schedule catches nothing up.' END""",
    NO_PLACE: """CASE (SELECT s.overlap FROM schedule s WHERE s.id = r.schedule_id)
                WHEN 'cancel-other' THEN 'A newer run of its schedule is due.'
                WHEN 'queue-one' THEN 'A run of its schedule was not over, and another one waits.'
                ELSE 'A run of its schedule was not over.' END""",
}


def _statement(condition: str) -> str:
    return f"""
WITH picked AS (
    SELECT r.id FROM flow_run r WHERE r.state_type = 'SCHEDULED' AND {condition}
    ORDER BY r.due, r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED
),
moved AS (
    UPDATE flow_run r SET state_type = 'CANCELLED', state_name = 'Skipped', state_at = %(horizon)s,
        ended = %(horizon)s, state_message = {_TOLD[condition]} || ' Retry it to have it run all the same.'
    FROM picked WHERE r.id = picked.id
    RETURNING r.*, NULL::jsonb AS details, %(horizon)s::timestamptz AS stamp
),
{CHANGE_RECORDED}
SELECT id FROM moved"""


_LATE, _DISPLACED = _statement(SUPERSEDED), _statement(NO_PLACE)


def skip(session: Session, now: datetime, most: int) -> int:
    """End up to ``most`` late runs that their schedules do not catch up; returns how many there were."""
    return len(fetch(session, _LATE, {"horizon": now, "batch": most}))


def skip_overlapping(session: Session, now: datetime, most: int) -> int:
    """End up to ``most`` due runs that find no place beside earlier ones; returns how many there were."""
    return len(fetch(session, _DISPLACED, {"horizon": now, "batch": most}))
