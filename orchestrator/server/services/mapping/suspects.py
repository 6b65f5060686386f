"""Suspects of a failure: what happened nearby, shortly before, ranked.

Looked at are the events of the quarter of an hour before a run began and of the time that it went on: about what its
deployment touches (:mod:`.touching`), about what is one relation further, about the agent that executed it, and what
the infrastructure said of the run itself. Each is scored by

- what it is: something that broke weighs more than a change of configuration, that more than anything else;
- time: half as much for each five minutes that lie between it and the failure;
- distance: the run itself, what its deployment touches, one relation further;
- rarity: how seldom the like was told of the same resource in the week before;
- company: how many of the deployment's failures of the last month had the like before them.

It is evidence, not proof: the score says in which order to look.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ....clock import now as clock_now
from ....errors import Conflict, NotFound
from ....ids import uuid7_floor
from ....states import StateType
from ..statements import fetch
from . import touching

#: How long before a run's begin is looked.
BEFORE = timedelta(minutes=15)
#: What is told a little after the failure may have been before it.
AFTER = timedelta(seconds=30)
#: Longest time that is looked at: of a run that went on for days, the end matters.
LONGEST = timedelta(hours=6)
#: In so many seconds the weight of an event halves.
HALF = 300.0
#: By hops from the run: itself, what its deployment touches, one relation further.
NEAR = (1.0, 0.8, 0.4)
#: Most events looked at, resources of one distance, and suspects named.
EVENTS, RESOURCES, MOST = 2000, 2000, 10
#: Past failures that are compared.
FAILURES = 20

#: The first that fits an event's name says how much it weighs; 0: it says nothing of a cause.
WEIGHTS: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.0, ("block.loaded", "discovery.", "trigger.", "action.", "expectation.", "webhook.", "notification.")),
    (0.0, ("flow-run.scheduled", "flow-run.pending", "flow-run.running", "flow-run.completed", "task-run.", "log.")),
    (1.0, ("evict", "oom", "kill", "crash", "back-off", "node-not-ready", "vanished", "lost", "unhealthy")),
    (0.9, ("failed", "failing", "error", "down", "stopped", "offline", "deleted", "not-ready", "missed")),
    (0.8, ("rotated", "updated", "changed", "created", "edited", "applied", "placed", "upgraded", "commit")),
)
OTHER = 0.3
_DEPLOYMENT = "orchestrator.deployment."

_RUN = """
SELECT r.id, r.state_type, r.deployment_id, r.agent_id, coalesce(r.started, r.due, r.created) AS begun, r.ended
FROM flow_run r WHERE r.id = %(id)s"""
_FURTHER = """
SELECT CASE WHEN source = ANY(%(ids)s) THEN target ELSE source END AS id FROM relation
WHERE source = ANY(%(ids)s) OR target = ANY(%(ids)s)
UNION SELECT 'orchestrator.deployment.' || deployment_id FROM deployment_resource WHERE resource_id = ANY(%(ids)s)
LIMIT %(most)s"""
#: Failures of deployments that are related to what the run's own touches.
_UPSTREAM = """
SELECT id FROM flow_run WHERE deployment_id = ANY(%(deployments)s::uuid[]) AND state_type IN ('FAILED', 'CRASHED')
    AND ended >= %(begin)s AND ended <= %(end)s ORDER BY ended DESC LIMIT %(most)s"""
_NEARBY = """
SELECT id, event, occurred, resource_id, resource, payload, kind FROM event
WHERE resource_id = ANY(%(ids)s) AND id >= %(first)s AND id < %(last)s AND kind <> 'heartbeat'
ORDER BY id DESC LIMIT %(most)s"""
#: What the infrastructure says of the run: the pod, the container that it was in.
_ABOUT_IT = """
SELECT id, event, occurred, resource_id, resource, payload, kind FROM event
WHERE ((event >= 'kubernetes.' AND event < 'kubernetes/') OR (event >= 'docker.' AND event < 'docker/'))
    AND id >= %(first)s AND id < %(last)s AND related @> %(run)s::jsonb
ORDER BY id DESC LIMIT %(most)s"""
_USUAL = """
SELECT resource_id, event, count(*) AS times FROM event
WHERE resource_id = ANY(%(ids)s) AND id >= %(first)s AND id < %(last)s GROUP BY 1, 2"""
_FAILED = """
SELECT id, coalesce(started, due) AS begun, ended FROM flow_run
WHERE deployment_id = %(deployment)s AND id <> %(id)s AND state_type IN ('FAILED', 'CRASHED') AND ended >= %(since)s
ORDER BY id DESC LIMIT %(most)s"""


@dataclass(frozen=True)
class Suspect:
    """An event that may have to do with a failure."""

    #: The event's.
    id: uuid.UUID
    event: str
    occurred: datetime
    resource_id: str
    resource_name: str
    #: 0 to 1.
    score: float
    #: Hops from the run.
    hops: int
    #: Why it is named: a line.
    why: str


def rank(session: Session, run_id: uuid.UUID) -> list[Suspect]:
    """The likeliest first, at most :data:`MOST`.

    Raises:
        NotFound: There is no such run.
        Conflict: It has not failed.
    """
    found = fetch(session, _RUN, {"id": run_id})
    if not found:
        raise NotFound(f"there is no flow run {run_id}")
    run = found[0]
    if run.state_type not in (StateType.FAILED, StateType.CRASHED):
        raise Conflict(f"flow run {run_id} is {run.state_type}: only what failed or crashed has suspects")
    end = run.ended or clock_now()
    begin = max(run.begun - BEFORE, end - LONGEST)
    hops = _around(session, run, begin, end)
    events, own = _events(session, run_id, hops, begin, end + AFTER)
    usual = _usual(session, {row.resource_id for row in events}, begin)
    company = _company(session, run, {(row.resource_id, row.event) for row in events}, end)
    ranked = [_suspect(row, 0 if row.id in own else hops[row.resource_id], end, usual, company) for row in events]
    best: dict[tuple[str, str], Suspect] = {}
    for suspect in sorted(ranked, key=lambda item: -item.score):
        best.setdefault((suspect.resource_id, suspect.event), suspect)
    return [item for item in best.values() if item.score > 0][:MOST]


def weight(name: str) -> float:
    """How much an event of a name weighs, before time and distance."""
    return next((value for value, parts in WEIGHTS if any(part in name for part in parts)), OTHER)


def _around(session: Session, run: Any, begin: datetime, end: datetime) -> dict[str, int]:
    """Ids of resources by their hops from the run; its own events are its story, not their cause."""
    near = touching.touched_by(session, run.deployment_id)[:RESOURCES] if run.deployment_id else []
    if run.agent_id:
        near.append(f"orchestrator.agent.{run.agent_id}")
    hops = dict.fromkeys(near, 1)
    for row in fetch(session, _FURTHER, {"ids": near, "most": RESOURCES}):
        hops.setdefault(row.id, 2)
    others = [identifier.removeprefix(_DEPLOYMENT) for identifier in hops if identifier.startswith(_DEPLOYMENT)]
    values = {"deployments": [item for item in others if item != str(run.deployment_id)], "begin": begin, "end": end}
    for row in fetch(session, _UPSTREAM, {**values, "most": RESOURCES}):
        hops[f"orchestrator.flow-run.{row.id}"] = 2
    return hops


def _events(
    session: Session, run_id: uuid.UUID, hops: Mapping[str, int], begin: datetime, end: datetime
) -> tuple[list[Any], set[uuid.UUID]]:
    """What happened, and the ids of what the infrastructure said of the run itself."""
    span = {"first": uuid7_floor(begin), "last": uuid7_floor(end), "most": EVENTS}
    nearby = fetch(session, _NEARBY, {"ids": list(hops), **span})
    run = f'[{{"resource.id": "orchestrator.flow-run.{run_id}"}}]'
    about = fetch(session, _ABOUT_IT, {"run": run, **span})
    return list({row.id: row for row in [*nearby, *about]}.values()), {row.id for row in about}


def _usual(session: Session, ids: Iterable[str], begin: datetime) -> Counter[tuple[str, str]]:
    values = {"ids": list(ids), "first": uuid7_floor(begin - timedelta(days=7)), "last": uuid7_floor(begin)}
    return Counter({(row.resource_id, row.event): row.times for row in fetch(session, _USUAL, values)})


def _company(session: Session, run: Any, named: set[tuple[str, str]], end: datetime) -> dict[tuple[str, str], float]:
    """By resource and event, in which share of the deployment's earlier failures the like came before."""
    if run.deployment_id is None or not named:
        return {}
    values = {"deployment": run.deployment_id, "id": run.id, "since": end - timedelta(days=30), "most": FAILURES}
    failures = [row for row in fetch(session, _FAILED, values) if row.ended]
    seen: Counter[tuple[str, str]] = Counter()
    for past in failures:
        first = max(past.begun - BEFORE, past.ended - LONGEST)
        span = {"first": uuid7_floor(first), "last": uuid7_floor(past.ended + AFTER)}
        rows = fetch(session, _USUAL, {"ids": list({identifier for identifier, _ in named}), **span})
        seen.update({(row.resource_id, row.event) for row in rows} & named)
    return {key: times / len(failures) for key, times in seen.items()}


def _suspect(
    row: Any, hops: int, end: datetime, usual: Counter[tuple[str, str]], company: Mapping[tuple[str, str], float]
) -> Suspect:
    gap = max(0.0, (end - row.occurred).total_seconds())
    key = (row.resource_id, row.event)
    rarity = 1.0 / (1 + usual[key] / 7)
    shared = company.get(key, 0.0)
    score = weight(row.event) * 0.5 ** (gap / HALF) * NEAR[hops] * (0.4 + 0.6 * max(rarity, shared))
    name = str(row.resource.get("resource.name") or row.resource_id)
    return Suspect(row.id, row.event, row.occurred, row.resource_id, name, round(score, 3), hops,
                   _why(gap, hops, usual[key], shared, row))  # fmt: skip


def _why(gap: float, hops: int, times: int, shared: float, row: Any) -> str:
    before = f"{_told(gap)} before" if gap >= 1 else "at the very time"
    where = ("what the run was in", "what the deployment touches", "one relation from what it touches")[hops]
    often = "never in the week before" if not times else f"{times} times in the week before"
    parts = [before, where, often]
    if shared:
        parts.append(f"also before {shared:.0%} of the earlier failures")
    by = row.payload.get("by") if isinstance(row.payload, Mapping) else None
    if isinstance(by, Mapping) and by.get("name"):
        parts.append(f"by {by['name']}")
    message = row.payload.get("message") if isinstance(row.payload, Mapping) else None
    return "; ".join(parts) + (f": {str(message)[:200]}" if message else "")


def _told(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
