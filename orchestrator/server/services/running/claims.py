"""Claiming: how an agent comes to hold a run. The claim gives the attempt (the fencing token) and the lease."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Infrastructure, Job, Reference, Results, State, Storage
from ....errors import Conflict, NotFound
from ....states import StateType
from ...config import current
from ..internal import FLOW_ID
from ..statements import ACTIVE_TYPES, CHANGE_RECORDED, CLAIMABLE, FITS, fetch, held, wake_readers
from . import work_queues
from .sharing import share_key

#: Finds the agent, and locks the limited queues among those asked for and the holds that limit. It has to be a
#: statement before the claim's: the count of runs that occupy slots must be taken from a snapshot made after the lock
#: was granted, or a burst would overshoot the limit.
_AGENT_AND_LOCKS = """
WITH limited AS MATERIALIZED (
    SELECT q.id FROM work_queue q WHERE q.name = ANY(%(queues)s) AND q.concurrency_limit IS NOT NULL
    ORDER BY q.id FOR NO KEY UPDATE
),
held AS MATERIALIZED (
    SELECT id FROM hold WHERE released IS NULL AND kind = 'limit' ORDER BY id FOR NO KEY UPDATE
)
SELECT a.labels, a.waterfall, a.prefetch_s, (SELECT count(*) FROM limited), (SELECT count(*) FROM held),
    EXISTS (SELECT 1 FROM deployment d WHERE d.concurrency_limit IS NOT NULL) AS any_limited,
    ARRAY(SELECT q.name FROM work_queue q WHERE q.name = ANY(%(queues)s)
        AND (q.ageing_s IS NOT NULL OR q.share_by IS NOT NULL)) AS ordered
FROM agent a WHERE a.id = %(agent)s AND a.stopped IS NULL"""

#: Claims take turns while any deployment has a limit. One lock for all of them: a deployment's runs may lie in several
#: queues, and which one a claim will pick is not known before. Tells how long that took: a run begins after it, or its
#: row would seem to overlap with that of the run whose place it got.
_TAKE_TURNS = """
SELECT pg_advisory_xact_lock(hashtextextended('limits of deployments', 17)),
    clock_timestamp() - transaction_timestamp() AS waited"""

#: What comes first in a queue, as its index has it.
_PLAIN = "r.priority DESC, r.due, r.id"

#: The same in a queue whose runs age, or take turns by a key: the most urgent run of the key that has the fewest.
_URGENCY = """r.priority + CASE WHEN q.ageing_s IS NULL THEN 0
        ELSE floor(greatest(extract(epoch FROM %(now)s - r.due), 0) / q.ageing_s) END"""
_ORDERED = f"""coalesce((SELECT k.busy FROM busy k WHERE k.key = {share_key("r")}), 0),
        {_URGENCY} DESC, r.due, r.id"""

#: How many runs of each key processes are busy with; of queues without a key, none.
_BUSY = f"""busy AS MATERIALIZED (
    SELECT {share_key("h")} AS key, count(*) AS busy FROM flow_run h JOIN work_queue q ON q.id = h.work_queue_id
    WHERE q.share_by IS NOT NULL AND q.name = ANY(%(queues)s) AND {held("h")} GROUP BY 1
)"""


def _heads(order: str, before: str = "") -> str:
    """The most urgent run of each queue."""
    return f"""
{before}SELECT q.name, head.* FROM work_queue q CROSS JOIN LATERAL (
    SELECT r.id, {_URGENCY if before else "r.priority"} AS priority, r.due
    FROM flow_run r JOIN deployment d ON d.id = r.deployment_id
    WHERE r.work_queue_id = q.id AND {FITS} AND {CLAIMABLE} ORDER BY {order} LIMIT 1
) AS head WHERE q.name = ANY(%(queues)s)"""


_JOB = """m.id, m.attempt, m.name, m.state_type, m.state_name, m.state_at, m.parameters, m.tags, m.due,
    CASE WHEN w.id = d.id THEN m.snapshot ELSE m.parameters #>> '{hooks_of,job,storage,snapshot}' END AS snapshot,
    m.tries, f.name AS flow, d.id AS deployment_id, d.name AS deployment, d.entrypoint, w.storage_block_id,
    w.storage_path, d.results_block_id, d.results_path, w.infrastructure_block_id, w.infrastructure_overrides,
    greatest(b.updated, (
        WITH RECURSIVE held AS (
            SELECT target_id FROM block_reference WHERE block_id = w.infrastructure_block_id
            UNION SELECT n.target_id FROM block_reference n JOIN held ON n.block_id = held.target_id
        ) SELECT max(h.updated) FROM block h JOIN held ON h.id = held.target_id)) AS infrastructure_updated"""
#: Hooks are called where the run that they are of had its code, and was executed: in ``w``.
_JOB_OF = f"""JOIN flow f ON f.id = m.flow_id JOIN deployment d ON d.id = m.deployment_id
JOIN deployment w ON w.id = CASE WHEN m.flow_id = '{FLOW_ID}' AND m.parameters ? 'hooks_of'
    THEN coalesce((SELECT o.id FROM deployment o
        WHERE o.id = (m.parameters #>> '{{hooks_of,job,deployment,id}}')::uuid), d.id) ELSE d.id END
LEFT JOIN block b ON b.id = w.infrastructure_block_id"""


def _claiming(order: str, before: str = "") -> str:
    """Take the first run of a queue."""
    return f"""
WITH {before}open_queue AS MATERIALIZED (SELECT * FROM work_queue WHERE name = %(queue)s),
picked AS MATERIALIZED (
    SELECT r.id, d.snapshot, d.infrastructure_block_id IS NULL AND d.infrastructure_overrides = '{{}}'
        AND d.snapshot = ANY(%(cached)s) AND r.due <= %(now)s AS starts_now
    FROM flow_run r JOIN deployment d ON d.id = r.deployment_id JOIN open_queue q ON true
    WHERE r.work_queue_id = (SELECT id FROM open_queue) AND {FITS} AND {CLAIMABLE}
    ORDER BY {order} LIMIT 1 FOR NO KEY UPDATE OF r SKIP LOCKED
),
moved AS (
    UPDATE flow_run r SET
        state_type = CASE WHEN p.starts_now THEN 'RUNNING' ELSE 'PENDING' END,
        state_name = CASE WHEN p.starts_now THEN 'Running' ELSE 'Pending' END,
        state_message = '', state_at = %(now)s, attempt = r.attempt + 1, agent_id = %(agent)s,
        lease_until = %(lease_until)s, snapshot = p.snapshot,
        started = CASE WHEN p.starts_now THEN %(now)s::timestamptz END
    FROM picked p WHERE r.id = p.id AND r.state_type = 'SCHEDULED'
    RETURNING r.*, NULL::jsonb AS details, %(now)s::timestamptz AS stamp
),
{CHANGE_RECORDED}
SELECT {_JOB} FROM moved m {_JOB_OF}"""


_HEADS, _ORDERED_HEADS = _heads(_PLAIN), _heads(_ORDERED, f"WITH {_BUSY} ")
_CLAIM, _ORDERED_CLAIM = _claiming(_PLAIN), _claiming(_ORDERED, f"{_BUSY},\n")

#: The same of a run that is held, for its own process. What was claimed is what it gets: the snapshot is the run's.
_HELD = f"""
SELECT {_JOB}, q.name AS queue FROM flow_run m {_JOB_OF} JOIN work_queue q ON q.id = m.work_queue_id
WHERE m.id = %(id)s AND m.attempt = %(attempt)s AND m.state_type IN ({ACTIVE_TYPES})"""


def claim(
    session: Session,
    agent_id: uuid.UUID,
    queues: Sequence[str],
    *,
    now: datetime,
    issue_token: Callable[[uuid.UUID, int], str],
    preferred: uuid.UUID | None = None,
    prefixes: Sequence[str] = (),
    cached: Sequence[str] = (),
) -> Job | None:
    """Give an agent the most urgent run that can be claimed from its queues; None when there is none.

    The run becomes PENDING; or RUNNING at once, when its code lies in the agent's cache, it is due, and a plain
    process executes it. Paused queues and deployments give nothing, and the limits of queues and of deployments are
    kept exactly. Runs of deployments that require labels which the agent has not are left to others.

    Args:
        queues: Names.
        issue_token: Makes the key of the run's own process, from run id and attempt.
        preferred: A run (one that was hinted) whose queue is looked at first among queues that are equally urgent.
        prefixes: The queues whose names begin like one of these are asked for, too.
        cached: Hashes of the snapshots that the agent holds.

    Raises:
        NotFound: The agent is not known, or has said good-bye: it registers anew.
    """
    names = work_queues.named(session, queues, prefixes)
    parameters: dict[str, Any] = {"queues": names, "agent": agent_id, "cached": list(cached)}
    agents = fetch(session, _AGENT_AND_LOCKS, parameters)
    if not agents:
        raise NotFound(f"there is no agent {agent_id}: register anew")
    agent = agents[0]
    if agent.any_limited:
        now += fetch(session, _TAKE_TURNS, {})[0].waited
    parameters |= {"now": now, "lease_until": now + current().lease, "labels": agent.labels}
    parameters["horizon"] = now + ahead(agent.prefetch_s)
    in_order = names if agent.waterfall else _by_urgency(session, parameters, agent.ordered, preferred)
    for queue in in_order:
        statement = _ORDERED_CLAIM if queue in agent.ordered else _CLAIM
        for found in fetch(session, statement, {**parameters, "queue": queue}):
            wake_readers(session)
            return _job(found._mapping, queue, now, issue_token(found.id, found.attempt))
    return None


def ahead(prefetch_s: float | None) -> timedelta:
    """How long before its time a run is given to an agent that asks for that many seconds, or does not say."""
    most = current().dispatch_ahead
    return most if prefetch_s is None else min(most, timedelta(seconds=prefetch_s))


def job(session: Session, run_id: uuid.UUID, attempt: int, token: str, now: datetime) -> Job:
    """The job of a run that is held, for a process that executes it out of its agent's reach.

    Raises:
        Conflict: The attempt is over, or its deployment was deleted meanwhile.
    """
    for found in fetch(session, _HELD, {"id": run_id, "attempt": attempt}):
        return _job(found._mapping, found.queue, now, token)
    raise Conflict(f"attempt {attempt} of the flow run {run_id} is over, or its deployment was deleted")


def _by_urgency(
    session: Session, parameters: dict[str, Any], ordered: Sequence[str], preferred: uuid.UUID | None
) -> list[str]:
    queues: list[str] = parameters["queues"]
    if len(queues) < 2:
        return queues
    heads = fetch(session, _HEADS, {**parameters, "queues": [name for name in queues if name not in ordered]})
    if ordered:
        heads += fetch(session, _ORDERED_HEADS, {**parameters, "queues": list(ordered)})
    return [head.name for head in sorted(heads, key=lambda h: (-h.priority, h.id != preferred, h.due, h.id))]


def _job(row: Mapping[str, Any], queue: str, now: datetime, token: str) -> Job:
    return Job(
        id=row["id"],
        attempt=row["attempt"],
        name=row["name"],
        flow=row["flow"],
        state=State(StateType(row["state_type"]), row["state_name"], at=row["state_at"]),
        entrypoint=row["entrypoint"],
        token=token,
        deployment=Reference(row["deployment_id"], row["deployment"]),
        storage=Storage(row["storage_block_id"], row["storage_path"], row["snapshot"]),
        infrastructure=Infrastructure(
            row["infrastructure_block_id"], row["infrastructure_overrides"], row["infrastructure_updated"]
        ),
        results=Results(row["results_block_id"], row["results_path"]) if row["results_block_id"] else None,
        parameters=row["parameters"],
        tags=row["tags"],
        tries=row["tries"],
        work_queue=queue,
        starts_in_ms=max(round((row["due"] - now).total_seconds() * 1000), 0),
    )
