"""What was: the steps on the way to some resources with their history, for :mod:`.eta_rules`.

Read with every question, within bounds: the last :data:`RUNS` runs of a deployment, the last :data:`EVENTS` events of
what others run, nothing older than :data:`BACK`, at most :data:`STEPS` steps that lie at most :data:`HOPS` apart. What
a schedule starts next waits for nothing, so nobody looks above it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ....ids import uuid7_floor
from ....states import StateType
from ..internal import FLOW_ID
from ..recording.resource_states import FAILING, VANISHED, WARNING, of_event
from ..statements import fetch
from .eta_rules import Run, Spread, Step, follow, gaps

BACK = timedelta(days=60)
RUNS, EVENTS = 40, 200
STEPS, HOPS = 200, 12
#: Runs that are looked at for what started them, and those that lie ahead.
CAUSES, AHEAD = 20, 200

DEPLOYMENT, OWN = "orchestrator.deployment.", "orchestrator."
#: Last words of the names of events that tell that something began, and that it is done.
_BEGINS, _DONE = ("started", "start"), ("completed", "complete", "succeeded", "ok")

_WRITERS = f"""
SELECT resource_id AS id, '{DEPLOYMENT}' || deployment_id AS step FROM deployment_resource
    WHERE role = 'writes' AND resource_id = ANY(%(ids)s)
UNION SELECT target, source FROM relation WHERE role = 'writes' AND target = ANY(%(ids)s)
ORDER BY 1, 2 LIMIT %(most)s"""

_DEPLOYMENTS = f"""
SELECT '{DEPLOYMENT}' || d.id AS id, f.name || '/' || d.name AS name, CASE WHEN d.paused THEN 'is paused'
    WHEN d.not_ready IS NOT NULL THEN 'is not ready' WHEN q.paused THEN 'waits: its work queue is paused'
    ELSE (SELECT 'is held: ' || h.reason FROM deployment_hold t JOIN hold h ON h.id = t.hold_id
        WHERE t.deployment_id = d.id AND h.released IS NULL AND h.kind = 'stop' ORDER BY h.id LIMIT 1) END AS blocked,
    r.state_type, r.due, r.slot IS NOT NULL AND r.due = r.slot AS scheduled, r.started, r.ended
FROM deployment d JOIN flow f ON f.id = d.flow_id JOIN work_queue q ON q.id = d.work_queue_id
LEFT JOIN LATERAL (
    (SELECT id, state_type, due, slot, started, ended FROM flow_run
        WHERE deployment_id = d.id AND state_type <> 'SCHEDULED' AND id >= %(floor)s ORDER BY id DESC LIMIT %(runs)s)
    UNION ALL
    (SELECT id, state_type, due, slot, started, ended FROM (
        SELECT id, state_type, due, slot, started, ended FROM flow_run WHERE deployment_id = d.id
        ORDER BY id DESC LIMIT %(ahead)s) n WHERE state_type = 'SCHEDULED' ORDER BY due <= %(now)s DESC,
            CASE WHEN due <= %(now)s THEN %(now)s - due ELSE due - %(now)s END LIMIT 1)
) r ON true
WHERE d.id = ANY(%(ids)s::uuid[]) AND d.flow_id <> '{FLOW_ID}' ORDER BY d.id, r.id"""

_HEARD = """
SELECT t.id, coalesce(nullif(r.name, ''), t.id) AS name, e.event, e.at FROM unnest(%(ids)s::text[]) t(id)
LEFT JOIN resource r ON r.id = t.id
CROSS JOIN LATERAL (
    SELECT id, event, least(occurred, received) AS at FROM event
    WHERE resource_id = t.id AND id >= %(floor)s AND kind IN ('operation', 'action')
    ORDER BY id DESC LIMIT %(events)s) e
ORDER BY t.id, e.at"""

_READS = f"""
SELECT '{DEPLOYMENT}' || deployment_id AS id, resource_id AS above FROM deployment_resource
    WHERE role = 'reads' AND deployment_id = ANY(%(deployments)s::uuid[])
UNION SELECT source, target FROM relation WHERE role = 'reads' AND source = ANY(%(ids)s)
LIMIT %(most)s"""

#: By what the last runs of deployments were started: events that triggers fired for, and other steps of their chains.
_CAUSES = f"""
WITH recent AS MATERIALIZED (
    SELECT d.id AS deployment_id, r.id, r.created, r.chain_id, r.chain_step,
        CASE WHEN r.idempotency_key ~ '^action [0-9a-f-]{{36}} '
            THEN substr(r.idempotency_key, 8, 36)::uuid END AS action
    FROM unnest(%(deployments)s::uuid[]) d(id) CROSS JOIN LATERAL (
        SELECT * FROM flow_run WHERE deployment_id = d.id ORDER BY id DESC LIMIT %(causes)s) r
)
SELECT DISTINCT '{DEPLOYMENT}' || r.deployment_id AS id, x.above
FROM recent r JOIN action a ON a.id = r.action JOIN firing f ON f.id = a.firing_id CROSS JOIN LATERAL (
    SELECT f.context #>> '{{event,resource,resource.id}}'
    UNION ALL SELECT l ->> 'resource.id' FROM jsonb_array_elements(f.context #> '{{event,related}}') l
        WHERE l ->> 'resource.role' = 'deployment') x(above)
WHERE x.above LIKE '{DEPLOYMENT}%%' OR x.above NOT LIKE '{OWN}%%'
UNION SELECT DISTINCT '{DEPLOYMENT}' || r.deployment_id, '{DEPLOYMENT}' || o.deployment_id
FROM recent r JOIN flow_run o ON o.chain_id = r.chain_id
WHERE r.chain_step IS NOT NULL AND o.chain_step IS NOT NULL AND o.created < r.created AND o.deployment_id IS NOT NULL
    AND o.deployment_id <> r.deployment_id
LIMIT %(most)s"""


@dataclass
class Known:
    """Steps with their history, and which of them write which resource: itself, where nothing known does."""

    steps: dict[str, Step] = field(default_factory=dict)
    writers: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class _Past:
    """What is known of one step, before it is known what it follows."""

    step: Step
    starts: list[datetime] = field(default_factory=list)
    ends: list[datetime] = field(default_factory=list)


def gather(session: Session, ids: Iterable[str], now: datetime) -> Known:
    """The steps that some resources, deployments among them, wait for, as far as anything is known of them."""
    known = Known()
    past: dict[str, _Past] = {}
    above: dict[str, set[str]] = {}
    wanted = set(ids)
    for _ in range(HOPS):
        _find_writers(session, known, wanted)
        new = sorted({step for key in wanted for step in known.writers[key]} - set(past))[: STEPS - len(past)]
        if not new:
            break
        past.update(_deployments(session, [key for key in new if key.startswith(DEPLOYMENT)], now))
        past.update(_heard(session, [key for key in new if not key.startswith(DEPLOYMENT)], now))
        found = _above(session, [key for key in new if key in past and _waits(past[key].step)])
        above.update(found)
        wanted = {key for keys in found.values() for key in keys} - set(known.writers)
    for key, item in past.items():
        known.steps[key] = _following(item, above.get(key, ()), known, past)
    return known


def _find_writers(session: Session, known: Known, wanted: Iterable[str]) -> None:
    asked = [key for key in wanted if key not in known.writers]
    found: dict[str, list[str]] = {key: [] for key in asked}
    others = [key for key in asked if not key.startswith(OWN)]
    if others:
        for row in fetch(session, _WRITERS, {"ids": others, "most": 10 * STEPS}):
            found[row.id].append(row.step)
    known.writers.update({key: tuple(steps) or (key,) for key, steps in found.items()})


def _deployments(session: Session, ids: Sequence[str], now: datetime) -> dict[str, _Past]:
    if not ids:
        return {}
    values = {
        "ids": [key[len(DEPLOYMENT) :] for key in ids], "floor": uuid7_floor(now - BACK), "runs": RUNS, "ahead": AHEAD,
        "now": now,
    }  # fmt: skip
    rows: dict[str, list[Any]] = {}
    for row in fetch(session, _DEPLOYMENTS, values):
        rows.setdefault(row.id, []).append(row)
    return {key: _deployment(key, found) for key, found in rows.items()}


def _deployment(key: str, rows: Sequence[Any]) -> _Past:
    runs = [row for row in rows if row.state_type is not None]
    begun = [row for row in runs if row.started is not None]
    done = [row for row in begun if row.state_type == StateType.COMPLETED]
    done.sort(key=lambda row: row.ended)
    over = [row for row in runs if row.ended is not None and row.state_type != StateType.CANCELLED]
    last = max(over, key=lambda row: row.ended, default=None)
    step = Step(
        key,
        rows[0].name,
        duration=Spread.of((row.ended - row.started).total_seconds() for row in done),
        # Not of what goes on: that is compared with it.
        delay=Spread.of((row.started - row.due).total_seconds() for row in begun if row.ended is not None),
        last=_run(done[-1]) if done else None,
        begun=max((row.started for row in begun), default=None),
        current=_current(runs),
        blocked=rows[0].blocked or "",
        failed=last is not None and last.state_type != StateType.COMPLETED,
    )
    return _Past(step, sorted(row.started for row in begun), [row.ended for row in done])


def _current(runs: Sequence[Any]) -> Run | None:
    """What goes on and will be done first, else what waits."""
    on = [row for row in runs if row.state_type in (StateType.RUNNING, StateType.PENDING)]
    on.sort(key=lambda row: (row.started is None, row.started or row.due))
    waiting = [row for row in runs if row.state_type == StateType.SCHEDULED]
    return next((_run(row) for row in (*on, *waiting)), None)


def _run(row: Any) -> Run:
    # What waits to be tried again has not started anew.
    started = None if row.state_type == StateType.SCHEDULED else row.started
    return Run(row.due, started, row.ended, bool(row.scheduled))


def _heard(session: Session, ids: Sequence[str], now: datetime) -> dict[str, _Past]:
    """What is known by events only: jobs that others run, and resources that just change."""
    if not ids:
        return {}
    found: dict[str, list[Any]] = {key: [] for key in ids}
    for row in fetch(session, _HEARD, {"ids": list(ids), "floor": uuid7_floor(now - BACK), "events": EVENTS}):
        found[row.id].append(row)
    return {key: _told(key, rows) for key, rows in found.items()}


def _told(key: str, rows: Sequence[Any]) -> _Past:
    name = rows[0].name if rows else key
    words = [(row.event.rpartition(".")[2].rpartition("-")[2].lower(), row) for row in rows]
    if not any(word in _BEGINS for word, _ in words):
        ends = [row.at for row in rows if of_event(row.event) not in (FAILING, VANISHED, WARNING)]
        last = Run(ends[-1], ends[-1], ends[-1]) if ends else None
        return _Past(Step(key, name, gap=gaps(ends), last=last, begun=ends[-1] if ends else None), ends, ends)
    runs: list[Run] = []
    current: datetime | None = None
    starts = [row.at for word, row in words if word in _BEGINS]
    for word, row in words:
        if word in _BEGINS:
            current = row.at
        elif word in _DONE or of_event(row.event) == FAILING:
            if current is not None and word in _DONE:
                runs.append(Run(current, current, row.at))
            current = None
    ends = [run.ended for run in runs if run.ended is not None]
    step = Step(
        key,
        name,
        duration=Spread.of((run.ended - run.due).total_seconds() for run in runs if run.ended is not None),
        gap=gaps(ends),
        last=runs[-1] if runs else None,
        begun=starts[-1],
        current=Run(current, current) if current is not None else None,
    )
    return _Past(step, starts, ends)


def _waits(step: Step) -> bool:
    """Whether it may have been started by others: not what a schedule starts, not what just changes."""
    if step.gap is not None and step.begun is not None and not step.duration.lengths:
        return False
    return step.current is None or not step.current.scheduled


def _above(session: Session, ids: Sequence[str]) -> dict[str, set[str]]:
    """What steps read, and by what they were started."""
    if not ids:
        return {}
    deployments = [key[len(DEPLOYMENT) :] for key in ids if key.startswith(DEPLOYMENT)]
    found: dict[str, set[str]] = {}
    values = {"ids": list(ids), "deployments": deployments, "causes": CAUSES, "most": 10 * STEPS}
    rows = fetch(session, _READS, values)
    if deployments:
        rows = [*rows, *fetch(session, _CAUSES, values)]
    for row in rows:
        found.setdefault(row.id, set()).add(row.above)
    return found


def _following(item: _Past, above: Iterable[str], known: Known, past: Mapping[str, _Past]) -> Step:
    """A step with what it was seen to follow."""
    others = {step for key in above for step in known.writers.get(key, ())} & set(past) - {item.step.id}
    follows = follow(item.starts, {key: past[key].ends for key in sorted(others)})
    if not follows:
        return item.step
    return replace(item.step, follows=follows, gap=None)
