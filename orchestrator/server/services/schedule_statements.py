"""SQL for runs ``r`` that a schedule made: which are not to be run any more, and which wait for an earlier one.

Only runs that were never claimed nor asked for anew are meant: what somebody retried goes its own way. The policies are
:mod:`orchestrator.timing.plans`'.
"""

from __future__ import annotations

from ...states import TERMINAL

#: Seconds after its time at which a run that nobody took is late.
LATE_S = 15
#: Earlier runs of a schedule that are looked at, when it is asked whether one went on at a slot's time.
_LOOK_BACK = 20

_ENDED = ", ".join(f"'{kind.value}'" for kind in sorted(TERMINAL, key=str))

_UNTOUCHED = "r.schedule_id IS NOT NULL AND r.attempt = 0"
_AS_MADE = "s.id = r.schedule_id AND r.due <= r.slot + s.jitter_s * interval '1 second'"

_NEWER = """EXISTS (SELECT 1 FROM flow_run n WHERE n.schedule_id = r.schedule_id AND n.slot > r.slot
        AND n.slot <= %(horizon)s AND n.state_type <> 'CANCELLED')"""

#: When a run is not caught up: late, and by what its schedule says too late. Needs the parameter ``horizon``.
SUPERSEDED = f"""({_UNTOUCHED} AND r.due < %(horizon)s - interval '{LATE_S} seconds' AND EXISTS (
    SELECT 1 FROM schedule s WHERE {_AS_MADE} AND CASE s.catch_up
        WHEN 'all' THEN false WHEN 'none' THEN true
        WHEN 'window' THEN r.due < %(horizon)s - s.catch_up_s * interval '1 second'
        ELSE {_NEWER} END))"""

#: A run ``o`` of the same schedule that goes on, or waits for its next attempt.
_GOES_ON = f"""o.schedule_id = r.schedule_id AND o.id <> r.id AND o.attempt > 0
        AND o.state_type NOT IN ({_ENDED})"""

_WENT_ON = f"""EXISTS (SELECT 1 FROM (
            SELECT e.attempt, e.ended FROM flow_run e WHERE e.schedule_id = r.schedule_id AND e.slot < r.slot
            ORDER BY e.slot DESC LIMIT {_LOOK_BACK}) AS e WHERE e.attempt > 0 AND e.ended > r.due)"""

_EARLIER_WAITS = """EXISTS (SELECT 1 FROM flow_run w WHERE w.schedule_id = r.schedule_id AND w.slot < r.slot
            AND w.state_type = 'SCHEDULED' AND w.attempt = 0)"""

#: When a run that waits has no place any more, as its schedule's runs do not overlap. Needs ``horizon``; a run whose
#: time has not come has its place.
NO_PLACE = f"""({_UNTOUCHED} AND r.due <= %(horizon)s AND EXISTS (
    SELECT 1 FROM schedule s WHERE {_AS_MADE} AND CASE s.overlap
        WHEN 'skip' THEN EXISTS (SELECT 1 FROM flow_run o WHERE {_GOES_ON}) OR {_WENT_ON}
        WHEN 'queue-one' THEN EXISTS (SELECT 1 FROM flow_run o WHERE {_GOES_ON}) AND {_EARLIER_WAITS}
        WHEN 'cancel-other' THEN {_NEWER}
        ELSE false END))"""

#: Whether a run waits for an earlier one of its schedule. Of those that wait the first alone may be claimed, so that
#: two agents that claim in the same moment do not get two.
ONE_AT_A_TIME = f"""({_UNTOUCHED} AND EXISTS (
    SELECT 1 FROM schedule s WHERE s.id = r.schedule_id AND s.overlap <> 'allow' AND (
        EXISTS (SELECT 1 FROM flow_run o WHERE {_GOES_ON}) OR {_EARLIER_WAITS}
        OR s.overlap = 'skip' AND {_WENT_ON})))"""

#: The run that a run waits for: needs its ``id``.
EARLIER = f"""SELECT o.id, o.name, s.slug, s.overlap FROM flow_run r JOIN schedule s ON s.id = r.schedule_id
JOIN flow_run o ON {_GOES_ON} WHERE r.id = %(id)s AND r.attempt = 0 AND s.overlap <> 'allow'
ORDER BY o.slot LIMIT 1"""

#: The runs that go on while one is due that is to take their place. Needs ``horizon``.
DISPLACED = f"""SELECT o.id, r.name FROM schedule s
JOIN flow_run r ON r.schedule_id = s.id JOIN flow_run o ON {_GOES_ON}
WHERE s.overlap = 'cancel-other' AND s.active AND r.state_type = 'SCHEDULED' AND r.attempt = 0
    AND r.due <= %(horizon)s AND o.state_type <> 'CANCELLING' AND o.slot < r.slot ORDER BY o.id LIMIT %(batch)s"""

#: Schedules that a failed run stops, with the first such run since they were started.
FAILING = f"""SELECT s.id, f.name, f.state_name, f.ended FROM schedule s CROSS JOIN LATERAL (
    SELECT e.* FROM flow_run e WHERE e.schedule_id = s.id AND e.slot <= %(horizon)s
    ORDER BY e.slot DESC LIMIT {_LOOK_BACK}
) AS f WHERE s.active AND s.pause_on_failure AND f.state_type IN ('FAILED', 'CRASHED')
    AND f.ended > coalesce(s.started, s.created) ORDER BY s.id, f.slot LIMIT %(batch)s"""
