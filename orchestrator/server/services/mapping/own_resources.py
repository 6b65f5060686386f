"""Our own things as resources: deployments, flows, work queues, blocks and agents, and how they are.

A loop keeps them, from the tables themselves: what happens to a run costs nothing for it, and nothing is missed that
was done while no loop ran.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...db.models import Tick
from ..internal import FLOW_ID
from ..recording import resource_states
from ..recording.resource_states import FAILING, HEALTHY, VANISHED, Told
from ..statements import fetch
from . import deployment_resources

#: The loop's name, whose tick tells since when ends of runs are to be looked at.
LOOP = "resources"
#: A run that ended may be seen so much later: no statement takes longer.
_LATE = timedelta(seconds=35)
#: How far back the first round looks.
_FIRST = timedelta(days=1)
#: Agents that were not heard of for so many heartbeats do not work.
_SILENT_S = 30

_OWN = f"""
own AS (
    SELECT 'orchestrator.deployment.' || d.id AS id, 'deployment' AS kind, f.name || '/' || d.name AS name,
        d.created AS at
        FROM deployment d JOIN flow f ON f.id = d.flow_id WHERE f.id <> '{FLOW_ID}'
    UNION ALL SELECT 'orchestrator.flow.' || id, 'flow', name, created FROM flow WHERE id <> '{FLOW_ID}'
    UNION ALL SELECT 'orchestrator.work-queue.' || id, 'work-queue', name, created FROM work_queue
    UNION ALL SELECT 'orchestrator.block.' || b.id, 'block', t.slug || '/' || coalesce(b.name, b.id::text), b.created
        FROM block b JOIN block_type t ON t.id = b.block_type_id
    UNION ALL SELECT 'orchestrator.agent.' || id, 'agent', name, created FROM agent
)"""
_KEEP = f"""
WITH {_OWN}
INSERT INTO resource AS r (id, kind, name, labels, origin, first_seen, last_seen, changed)
SELECT id, o.kind, o.name, '{{}}', 'own', at, %(now)s, %(now)s FROM own o LEFT JOIN resource k USING (id)
WHERE k.id IS NULL OR k.name <> o.name OR k.vanished IS NOT NULL OR k.origin <> 'own'
ORDER BY id LIMIT %(batch)s
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, origin = 'own', changed = excluded.changed,
    last_seen = excluded.last_seen, vanished = NULL
RETURNING id"""
_GONE = f"""
WITH {_OWN}
UPDATE resource SET vanished = %(now)s WHERE id IN (
    SELECT r.id FROM resource r WHERE r.origin = 'own' AND r.vanished IS NULL
        AND NOT EXISTS (SELECT 1 FROM own o WHERE o.id = r.id)
    ORDER BY r.id LIMIT %(batch)s FOR UPDATE)
RETURNING id"""
_ENDS = f"""
SELECT 'orchestrator.deployment.' || deployment_id AS id, ended, name, state_name, is_good FROM (
    SELECT deployment_id, ended, name, state_name, state_type = 'COMPLETED' AS is_good,
        lag(state_type = 'COMPLETED') OVER (PARTITION BY deployment_id ORDER BY ended, id) AS before
    FROM flow_run WHERE ended >= %(since)s AND deployment_id IS NOT NULL AND flow_id <> '{FLOW_ID}'
        AND state_type IN ('COMPLETED', 'FAILED', 'CRASHED')
) runs WHERE before IS DISTINCT FROM is_good ORDER BY ended LIMIT 10000"""
_AGENTS = f"""
SELECT 'orchestrator.agent.' || id AS id, CASE WHEN stopped IS NOT NULL THEN 'stopped'
    WHEN last_heartbeat < %(now)s - interval '{_SILENT_S} seconds' THEN 'failing' ELSE 'healthy' END AS state,
    coalesce(stopped, last_heartbeat) AS since
FROM agent"""


def step(session: Session, now: datetime, batch: int) -> int:
    """Bring them up to date; returns how many came or went."""
    deployment_resources.forget(session)
    came = [row.id for row in fetch(session, _KEEP, {"now": now, "batch": batch})]
    gone = [row.id for row in fetch(session, _GONE, {"now": now, "batch": batch})]
    deleted = [Told(key, now, VANISHED, "it was deleted") for key in gone]
    resource_states.save(session, [*deleted, *_runs(session, now), *_agents(session, now)])
    return max(len(came), len(gone))


def _runs(session: Session, now: datetime) -> list[Told]:
    """Deployments are as their last run that ended was."""
    last = session.scalar(select(Tick.at).where(Tick.loop == LOOP))
    rows = fetch(session, _ENDS, {"since": last - _LATE if last is not None else now - _FIRST})
    return [
        Told(row.id, row.ended, HEALTHY if row.is_good else FAILING, f"run {row.name}: {row.state_name}")
        for row in rows
    ]


def _agents(session: Session, now: datetime) -> list[Told]:
    rows = fetch(session, _AGENTS, {"now": now})
    return [Told(row.id, row.since, row.state, "its heartbeats") for row in rows]
