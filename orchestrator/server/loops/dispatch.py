"""Hints agents at runs that are due in a moment, and again at those that nobody came for.

A run is hinted again after 5 s, then 10, 20 ... 60; and a queue's list in Redis is never made longer than the number
of its claimable runs. So an emptied Redis delays runs a little, and a full one never grows.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from .. import hints
from ..config import current
from ..db.session import after_commit
from ..services.statements import CLAIMABLE, HANDED_OUT, HAS_ROOM, fetch

INTERVAL = timedelta(seconds=1)
#: Runs in one step.
BATCH = 1000

_WANTING = f"""
SELECT r.id, q.name FROM flow_run r JOIN work_queue q ON q.id = r.work_queue_id
JOIN deployment d ON d.id = r.deployment_id
WHERE r.state_type = 'SCHEDULED' AND r.due <= %(horizon)s AND NOT d.paused AND d.not_ready IS NULL
    AND NOT q.paused AND {HANDED_OUT} AND {HAS_ROOM}
    AND (r.hinted IS NULL OR r.hinted <= %(now)s - least(60, 5 * 2 ^ least(r.hints - 1, 4)) * interval '1 second')
ORDER BY r.due, r.id LIMIT %(batch)s FOR NO KEY UPDATE OF r SKIP LOCKED"""

_WAITING = f"""
SELECT q.name, count(*) FROM flow_run r JOIN work_queue q ON q.id = r.work_queue_id
JOIN deployment d ON d.id = r.deployment_id WHERE q.name = ANY(%(queues)s) AND {CLAIMABLE} GROUP BY q.name"""

_HINTED = "UPDATE flow_run SET hinted = %(now)s, hints = hints + 1 WHERE id = ANY(%(ids)s) RETURNING id"


def step(session: Session, now: datetime) -> int:
    """Hint what is due and not hinted lately; returns how many hints were given."""
    horizon = now + current().dispatch_ahead
    wanting = fetch(session, _WANTING, {"now": now, "horizon": horizon, "batch": BATCH})
    if not wanting:
        return 0
    room = _room(session, {row.name for row in wanting}, horizon)
    chosen: list[uuid.UUID] = []
    for run_id, queue in wanting:
        if room.get(queue, 0) > 0:
            room[queue] -= 1
            chosen.append(run_id)
            after_commit(session, hints.run_queued, queue, run_id)
    if chosen:
        fetch(session, _HINTED, {"now": now, "ids": chosen})
    return len(chosen)


def _room(session: Session, queues: set[str], horizon: datetime) -> dict[str, int]:
    """By queue, how many hints its list may still take; none where Redis does not answer."""
    lengths = hints.waiting(queues)
    if lengths is None:
        return {}
    waiting = fetch(session, _WAITING, {"queues": sorted(queues), "horizon": horizon})
    return {name: count - lengths[name] for name, count in waiting}
