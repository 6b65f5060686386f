"""SQL for runs ``r`` of backfills: which of them may start."""

from __future__ import annotations

from ...states import TERMINAL

_ENDED = ", ".join(f"'{kind.value}'" for kind in sorted(TERMINAL, key=str))

#: A run ``g`` that was begun and is not over: it keeps a place, also while it waits for its next attempt.
_GOES_ON = f"g.attempt > 0 AND g.state_type NOT IN ({_ENDED})"

#: The runs that have a place: the first that wait, as many as the backfill ``b`` still lets begin. Whoever looks at an
#: earlier state of things sees the same ones or earlier ones, so that claims in the same moment never overshoot.
_PLACES = f"""SELECT place.id FROM backfill b CROSS JOIN LATERAL (
            SELECT w.id FROM flow_run w WHERE w.backfill_id = b.id AND w.state_type = 'SCHEDULED' AND w.attempt = 0
            ORDER BY CASE WHEN b.backwards THEN NULL ELSE w.slot END, w.slot DESC
            LIMIT greatest(0, b.max_active - (
                SELECT count(*) FROM flow_run g WHERE g.backfill_id = b.id AND {_GOES_ON}))
        ) AS place WHERE b.cancelled IS NULL"""

#: Whether it is a run's turn; runs of no backfill have theirs always. What was begun once goes its own way.
ITS_TURN = f"(r.backfill_id IS NULL OR r.attempt > 0 OR r.id = ANY (ARRAY({_PLACES})))"

#: The backfill whose other runs a waiting run waits for, and one of them: needs its ``id``.
TURN = f"""SELECT b.id, b.max_active, b.cancelled, g.id AS run_id, g.name FROM flow_run r
JOIN backfill b ON b.id = r.backfill_id LEFT JOIN LATERAL (
    SELECT g.id, g.name FROM flow_run g WHERE g.backfill_id = b.id AND {_GOES_ON} ORDER BY g.id LIMIT 1) AS g ON true
WHERE r.id = %(id)s AND NOT {ITS_TURN}"""

#: How many runs of backfills are in each state: needs ``ids``.
COUNTS = """SELECT backfill_id, state_type, count(*) AS runs FROM flow_run
WHERE backfill_id = ANY(%(ids)s) GROUP BY backfill_id, state_type"""

#: How the last run of each slot of a schedule did, be it of a backfill: needs ``schedule``, ``start``, ``end``.
LAST_OF_SLOTS = """SELECT DISTINCT ON (r.slot) r.slot, r.state_type FROM flow_run r
WHERE (r.schedule_id = %(schedule)s OR r.backfill_id IN (SELECT id FROM backfill WHERE schedule_id = %(schedule)s))
    AND r.slot BETWEEN %(start)s AND %(end)s ORDER BY r.slot, r.id DESC"""
