"""SQL that the hot verbs share: whichever way a flow run changes, its history row and its event are written by the
same statement as the change.

A statement is ``WITH ... moved AS (...), <CHANGE_RECORDED> SELECT ...``, where ``moved`` yields the columns of
``flow_run`` after the change, ``details`` (jsonb) and ``stamp`` (when the server heard of it). The ids of history and
events carry Postgres's own time, one clock for all writers: neither clients nor several API processes can put them
out of order, or into a partition that is not there. Parameters are psycopg's ``%(name)s``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from sqlalchemy.orm import Session

from ...states import SUSPENDED, TERMINAL
from .. import hints
from ..db.json_text import json_text
from ..db.session import after_commit
from .backfill_statements import ITS_TURN
from .internal import FLOW_ID
from .schedule_statements import ONE_AT_A_TIME, SUPERSEDED

#: SQL list of the terminal types.
TERMINAL_TYPES = ", ".join(f"'{kind.value}'" for kind in sorted(TERMINAL, key=str))
#: SQL list of the types in which a run occupies a slot.
ACTIVE_TYPES = "'PENDING', 'RUNNING', 'CANCELLING'"


def held(run: str) -> str:
    """SQL that tells whether a process is busy with a run, as :func:`orchestrator.states.is_held`; an index has it."""
    paused = f"{run}.state_type = 'PAUSED' AND {run}.state_name <> '{SUSPENDED}'"
    return f"({run}.state_type IN ({ACTIVE_TYPES}) OR ({paused}))"


#: Whether a run ``r`` was started by hand, by a process that no agent watches: neither deployed nor a subflow.
BY_HAND = "(r.work_queue_id IS NULL AND r.parent_flow_run_id IS NULL)"
#: Which holds ``h`` keep a run ``r`` of deployment ``d`` from starting; needs the parameter ``horizon``.
HELD_BY = f"""FROM deployment_hold t JOIN hold h ON h.id = t.hold_id
    WHERE t.deployment_id = d.id AND h.released IS NULL AND (
        h.kind = 'stop' OR (h.kind = 'delay' AND r.due + h.delay_s * interval '1 second' > %(horizon)s)
        OR (h.kind = 'limit' AND h.slots <= (
            SELECT count(*) FROM flow_run o JOIN deployment_hold u ON u.deployment_id = o.deployment_id
            WHERE u.hold_id = h.id AND {held("o")})))"""

#: Deployments that have reached their limit, found once a statement, and only if a run is of one that has a limit.
_FULL = f"""SELECT x.id FROM deployment x LEFT JOIN flow_run h ON h.deployment_id = x.id AND {held("h")}
        WHERE x.concurrency_limit IS NOT NULL GROUP BY x.id HAVING count(h.id) >= x.concurrency_limit"""

#: Whether a deployment ``d`` may have one more run.
HAS_ROOM = f"(d.concurrency_limit IS NULL OR d.id <> ALL (ARRAY({_FULL})))"

#: Whether a queue ``q`` that is drained had a run ``r`` before that, or an agent has had it.
HANDED_OUT = "(q.draining IS NULL OR r.attempt > 0 OR (r.created <= q.draining AND r.due <= q.draining))"

#: When a run ``r`` of deployment ``d`` in queue ``q`` can be claimed; needs the parameter ``horizon``.
CLAIMABLE = f"""r.state_type = 'SCHEDULED' AND r.due <= %(horizon)s
    AND NOT d.paused AND d.not_ready IS NULL AND NOT q.paused AND {HANDED_OUT}
    AND {HAS_ROOM}
    AND (q.concurrency_limit IS NULL OR q.concurrency_limit > (
        SELECT count(*) FROM flow_run h WHERE h.work_queue_id = q.id AND {held("h")}))
    AND NOT EXISTS (SELECT 1 {HELD_BY}) AND NOT {SUPERSEDED} AND NOT {ONE_AT_A_TIME} AND {ITS_TURN}"""


#: Whether an agent has what the deployment ``d`` requires of it; needs its ``labels``.
FITS = "d.labels <@ %(labels)s::text[]"


def serves(agent: str, queue: str) -> str:
    """SQL that tells whether an agent serves a queue: it named it, or how its name begins."""
    by_prefix = f"EXISTS (SELECT 1 FROM unnest({agent}.prefixes) AS p WHERE starts_with({queue}.name, p))"
    return f"({queue}.name = ANY({agent}.queues) OR {by_prefix})"


def uuid7_sql(instant: str) -> str:
    """An SQL expression for a new UUIDv7 of an instant, laid out as :func:`orchestrator.ids.uuid7` does."""
    hexadecimal = f"lpad(to_hex(floor(extract(epoch FROM {instant}) * 4096000)::bigint), 15, '0')"
    return (
        f"(left({hexadecimal}, 12) || '7' || right({hexadecimal}, 3)"
        " || substr(replace(gen_random_uuid()::text, '-', ''), 17))::uuid"
    )


def _related(kind: str, role: str, table: str) -> str:
    return (
        f"CASE WHEN {table}.id IS NOT NULL THEN jsonb_build_object('resource.id', 'orchestrator.{kind}.' || {table}.id,"
        f" 'resource.name', {table}.name, 'resource.role', '{role}') END"
    )


_TAGS = """coalesce((SELECT jsonb_agg(jsonb_build_object(
        'resource.id', 'orchestrator.tag.' || t, 'resource.name', t, 'resource.role', 'tag'))
        FROM unnest(m.tags) AS t), '[]'::jsonb)"""

#: A step of a chain names the run of the chain, and the step; see :mod:`orchestrator.chains.compiling`.
_CHAIN = """CASE WHEN m.chain_step IS NULL THEN '[]'::jsonb ELSE jsonb_build_array(
        jsonb_build_object('resource.id', 'orchestrator.chain.' || m.chain_id, 'resource.role', 'chain',
            'chain.depth', m.chain_depth::text),
        jsonb_build_object('resource.id', 'orchestrator.chain-step.' || m.chain_step,
            'resource.role', 'chain-step')) END"""

#: Types of actors that stand for people: what they do is an action.
PEOPLE_TYPES = ("api-key", "user")
PEOPLE = ", ".join(f"'{name}'" for name in PEOPLE_TYPES)

#: Who asked for a change: its details say so, or it is the making of the run.
_ASKED = """SELECT CASE WHEN m.details ? 'by' THEN jsonb_build_object('by', m.details->'by')
        WHEN m.state_at = m.created AND m.attempt = 0 AND m.created_by <> '{}'
            THEN jsonb_build_object('by', m.created_by)
        ELSE '{}'::jsonb END AS asked"""

#: What a paused run asks of people.
_QUESTION = """CASE WHEN m.details ? 'question' THEN jsonb_build_object('question', m.details->'question')
        ELSE '{}'::jsonb END"""

#: The CTEs ``history`` and ``recorded``, which write what ``moved`` did. Errands leave no events: what they find does.
CHANGE_RECORDED = f"""
history AS (
    INSERT INTO flow_run_state (id, flow_run_id, attempt, type, name, message, at, details)
    SELECT {uuid7_sql("clock_timestamp()")},
        m.id, m.attempt, m.state_type, m.state_name, m.state_message, m.state_at, m.details
    FROM moved m
),
recorded AS (
    INSERT INTO event (id, event, occurred, received, resource_id, resource, related, payload, kind)
    SELECT {uuid7_sql("clock_timestamp()")}, 'flow-run.' || lower(m.state_type), m.state_at, m.stamp,
        'orchestrator.flow-run.' || m.id,
        jsonb_build_object('resource.id', 'orchestrator.flow-run.' || m.id, 'resource.name', m.name,
            'state.type', m.state_type, 'state.name', m.state_name),
        jsonb_path_query_array(jsonb_build_array(
            {_related("flow", "flow", "f")}, {_related("deployment", "deployment", "d")},
            {_related("work-queue", "work-queue", "q")}, {_related("agent", "agent", "a")}
        ), '$[*] ? (@ != null)') || {_TAGS} || {_CHAIN},
        jsonb_build_object('attempt', m.attempt, 'message', m.state_message) || w.asked || {_QUESTION},
        CASE WHEN w.asked->'by'->>'type' IN ({PEOPLE}) THEN 'action' ELSE 'operation' END
    FROM moved m CROSS JOIN LATERAL ({_ASKED}) AS w JOIN flow f ON f.id = m.flow_id
    LEFT JOIN deployment d ON d.id = m.deployment_id
    LEFT JOIN work_queue q ON q.id = m.work_queue_id LEFT JOIN agent a ON a.id = m.agent_id
    WHERE m.flow_id <> '{FLOW_ID}'
)"""

_INSERT_RUNS = f"""
WITH given AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x(
        id uuid, flow_id uuid, deployment_id uuid, name text, state_type text, state_name text, state_message text,
        state_at timestamptz, attempt int, parameters jsonb, tags text[], work_queue_id uuid, priority int,
        idempotency_key text, schedule_id uuid, slot timestamptz, due timestamptz, started timestamptz,
        ended timestamptz, hinted timestamptz, hints int, parent_task_run_id uuid, parent_flow_run_id uuid,
        created timestamptz, created_by jsonb, details jsonb, stamp timestamptz, result jsonb,
        lease_until timestamptz, chain_id uuid, chain_depth int, chain_step text,
        backfill_id uuid)
),
fresh AS (
    INSERT INTO flow_run (id, flow_id, deployment_id, name, state_type, state_name, state_message, state_at, attempt,
        parameters, tags, work_queue_id, priority, idempotency_key, schedule_id, slot, due, started, ended, hinted,
        hints, parent_task_run_id, parent_flow_run_id, created, created_by, result, lease_until,
        chain_id, chain_depth, chain_step, backfill_id)
    SELECT id, flow_id, deployment_id, name, state_type, state_name, coalesce(state_message, ''), state_at,
        coalesce(attempt, 0), coalesce(parameters, '{{}}'), coalesce(tags, '{{}}'), work_queue_id,
        coalesce(priority, 0), idempotency_key, schedule_id, slot, due, started, ended, hinted, coalesce(hints, 0),
        parent_task_run_id, parent_flow_run_id, created, coalesce(created_by, '{{}}'), result, lease_until,
        chain_id, coalesce(chain_depth, 0), chain_step, backfill_id
    FROM given ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING *
),
moved AS (SELECT fresh.*, given.details, given.stamp FROM fresh JOIN given ON given.id = fresh.id),
{CHANGE_RECORDED}
SELECT id FROM moved"""


def fetch(session: Session, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
    """Run one statement in psycopg's own form on the session's connection; gives all its rows."""
    return list(session.connection().exec_driver_sql(statement, dict(parameters)).all())


def execute(session: Session, statement: str, parameters: Mapping[str, Any]) -> int:
    """As :func:`fetch`, for statements without rows; gives how many rows were changed."""
    return session.connection().exec_driver_sql(statement, dict(parameters)).rowcount


def insert_runs(session: Session, rows: Sequence[Mapping[str, Any]]) -> set[uuid.UUID]:
    """Insert flow runs with their first state and its event; rows that hit a unique key are left out.

    Args:
        rows: Columns by name, with ``stamp`` and, if any, ``details`` of the state.

    Returns:
        The ids that are new.
    """
    made = {run_id for (run_id,) in fetch(session, _INSERT_RUNS, {"rows": json_text(list(rows))})}
    if made:
        wake_readers(session)
    return made


def wake_readers(session: Session) -> None:
    """Have those who read events look at once, when this transaction, which writes some, is committed."""
    if not session.info.get("readers_woken"):
        session.info["readers_woken"] = True
        after_commit(session, hints.wake, "triggers")


def copy_rows(session: Session, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """COPY rows into a table, in the session's transaction. Values of jsonb columns are JSON text."""
    if not rows:
        return
    link = session.connection().connection.driver_connection
    assert isinstance(link, psycopg.Connection)
    with link.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
