"""Agents: who is there, what they hold, and the heartbeat by which they keep it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import NotFound
from ....ids import uuid7
from ...config import current
from ...db.models import Agent, FlowRun, WorkQueue
from ..recording.events import EventRecord, record
from ..statements import CLAIMABLE, fetch, held, serves
from . import work_queues

ONLINE, UNHEALTHY, OFFLINE, STOPPED = "ONLINE", "UNHEALTHY", "OFFLINE", "STOPPED"


@dataclass(frozen=True)
class Heartbeat:
    """What an agent learns from its heartbeat: (run id, attempt) pairs."""

    #: To be stopped.
    cancel: list[tuple[uuid.UUID, int]] = field(default_factory=list)
    #: No longer its own: superseded, ended or deleted.
    lost: list[tuple[uuid.UUID, int]] = field(default_factory=list)
    #: Whether work waits that it could take, and has not asked for lately.
    waiting: bool = False
    #: Why it is UNHEALTHY; empty when it is not.
    unhealthy: str = ""
    #: False: the server does not know the agent (any more); it registers anew.
    known: bool = True


@dataclass(frozen=True)
class AgentRow:
    """An agent in a list."""

    agent: Agent
    status: str
    #: Runs that it holds.
    running: int

    def serves(self, queue: str) -> bool:
        """Whether it is online, and takes runs of a queue."""
        named = queue in self.agent.queues or queue.startswith(tuple(self.agent.prefixes))
        return self.status == ONLINE and named


@dataclass(frozen=True)
class Pulling:
    """How an agent gets on with its claims, as it tells it: ``age`` is the time since the last that was answered."""

    age: timedelta
    free: int


#: A queue of an agent in which work waits that it might take; needs ``agent`` and ``horizon``.
_UNTAKEN = f"""
SELECT q.name FROM agent a JOIN work_queue q ON {serves("a", "q")} WHERE a.id = %(agent)s AND EXISTS (
    SELECT 1 FROM flow_run r JOIN deployment d ON d.id = r.deployment_id
    WHERE r.work_queue_id = q.id AND d.labels <@ a.labels AND {CLAIMABLE})
ORDER BY q.name LIMIT 1"""

_HEARTBEAT = f"""
WITH told AS (SELECT * FROM unnest(%(ids)s::uuid[], %(attempts)s::int[]) AS t(id, attempt)),
beat AS (
    UPDATE agent SET last_heartbeat = %(now)s, pulled = %(pulled)s, unhealthy = %(unhealthy)s
    WHERE id = %(agent)s AND stopped IS NULL RETURNING id
),
held AS (
    SELECT r.id FROM flow_run r JOIN told USING (id, attempt) LEFT JOIN agent a ON a.id = r.agent_id
    WHERE (r.agent_id = %(agent)s OR a.id IS NULL OR a.stopped IS NOT NULL)
        AND {held("r")} AND EXISTS (SELECT 1 FROM beat)
    ORDER BY r.id FOR NO KEY UPDATE OF r
),
renewed AS (
    UPDATE flow_run r SET lease_until = %(lease_until)s, agent_id = %(agent)s FROM held
    WHERE r.id = held.id AND r.lease_until IS NOT NULL RETURNING r.id, r.cancel_asked
)
SELECT t.id, t.attempt, renewed.id IS NOT NULL, renewed.cancel_asked IS NOT NULL, EXISTS (SELECT 1 FROM beat)
FROM (SELECT 1) AS one LEFT JOIN told t ON true LEFT JOIN renewed ON renewed.id = t.id"""


def register(
    session: Session,
    *,
    name: str,
    hostname: str,
    pid: int,
    version: str,
    transport: str,
    queues: Sequence[str],
    slots: int,
    now: datetime,
    prefixes: Sequence[str] = (),
    labels: Sequence[str] = (),
    waterfall: bool = False,
    prefetch_s: float | None = None,
    api_key_id: uuid.UUID | None = None,
) -> Agent:
    """Add an agent; queues that do not exist yet are made.

    Args:
        queues: Names, the most important first where ``waterfall`` is true.
        prefixes: It serves the queues whose names begin like one of these, too, whenever they are made.
        labels: What it offers to deployments that require something of agents.
        prefetch_s: Seconds before its time that a run may be given to it; None: as many as the server says.
    """
    names = list(dict.fromkeys(queues)) if waterfall else sorted(set(queues))
    work_queues.add(session, names, Actor("agent", name=name), now)
    agent = Agent(
        id=uuid7(now), name=name, hostname=hostname, pid=pid, version=version, transport=transport, queues=names,
        prefixes=sorted(set(prefixes)), labels=sorted(set(labels)), waterfall=waterfall, prefetch_s=prefetch_s,
        slots=slots, created=now, last_heartbeat=now, api_key_id=api_key_id,
    )  # fmt: skip
    session.add(agent)
    session.flush()
    record(session, [_event(session, agent, "agent.started", now)], now)
    return agent


def heartbeat(
    session: Session,
    agent_id: uuid.UUID,
    running: Sequence[tuple[uuid.UUID, int]],
    now: datetime,
    pulling: Pulling | None = None,
) -> Heartbeat:
    """Renew the leases of all runs that the agent names, in one statement.

    Runs of its own that it does not name are not renewed: their leases lapse. Attempts whose agent is gone (deleted,
    or said good-bye) pass to the one that names them: it executed them under an earlier registration.

    Args:
        pulling: None: the agent does not tell, and counts as healthy.
    """
    untaken = _untaken(session, agent_id, pulling, now)
    answer = Heartbeat(waiting=untaken is not None, unhealthy=_ailment(untaken, pulling))
    parameters = {
        "agent": agent_id,
        "pulled": now - pulling.age if pulling else None,
        "unhealthy": answer.unhealthy or None,
        "ids": [run_id for run_id, _ in running],
        "attempts": [attempt for _, attempt in running],
        "now": now,
        "lease_until": now + current().lease,
    }
    for run_id, attempt, renewed, cancel, known in fetch(session, _HEARTBEAT, parameters):
        if not known:
            return Heartbeat(lost=list(running), known=False)
        if run_id is not None and not renewed:
            answer.lost.append((run_id, attempt))
        elif cancel:
            answer.cancel.append((run_id, attempt))
    return answer


def goodbye(session: Session, agent_id: uuid.UUID, now: datetime) -> None:
    """Note that an agent stopped; what it still holds is treated as lapsed at the next sweep. Raises NotFound."""
    agent = get(session, agent_id)
    if agent.stopped is not None:
        return
    agent.stopped = now
    session.execute(
        update(FlowRun)
        .where(
            FlowRun.agent_id == agent_id,
            text(held("flow_run")),
            FlowRun.lease_until > now,
        )
        .values(lease_until=now)
    )
    record(session, [_event(session, agent, "agent.stopped", now)], now)


def get(session: Session, agent_id: uuid.UUID) -> Agent:
    """One agent. Raises NotFound."""
    found = session.get(Agent, agent_id)
    if found is None:
        raise NotFound(f"there is no agent {agent_id}")
    return found


def row(session: Session, agent_id: uuid.UUID, now: datetime) -> AgentRow:
    """One agent with its status and what it holds. Raises NotFound."""
    agent = get(session, agent_id)
    return AgentRow(agent, status(agent, now), _held(session, [agent_id]).get(agent_id, 0))


def listing(session: Session, now: datetime) -> list[AgentRow]:
    """All agents that are kept, newest first."""
    found = list(session.scalars(select(Agent).order_by(Agent.id.desc()).limit(1000)))
    held = _held(session, [agent.id for agent in found])
    return [AgentRow(agent, status(agent, now), held.get(agent.id, 0)) for agent in found]


def status(agent: Agent, now: datetime) -> str:
    """``ONLINE``, ``UNHEALTHY`` (cannot pull, by its last heartbeat), ``OFFLINE`` (silent for three heartbeats) or
    ``STOPPED`` (said good-bye): computed from when that was, never stored.
    """
    if agent.stopped is not None:
        return STOPPED
    if now - agent.last_heartbeat > 3 * current().heartbeat:
        return OFFLINE
    return UNHEALTHY if agent.unhealthy is not None else ONLINE


def _untaken(session: Session, agent_id: uuid.UUID, pulling: Pulling | None, now: datetime) -> str | None:
    """A queue with work that waits for as long as the agent, which has room, has not asked."""
    heartbeat = current().heartbeat
    if pulling is None or pulling.free < 1 or pulling.age < heartbeat:
        return None
    found = fetch(session, _UNTAKEN, {"agent": agent_id, "horizon": now - heartbeat})
    return str(found[0].name) if found else None


def _ailment(untaken: str | None, pulling: Pulling | None) -> str:
    if untaken is None or pulling is None or pulling.age < 2 * current().lease:
        return ""
    return (
        f"No claim of it was answered for {pulling.age.total_seconds():.0f} s, though work waits in queue {untaken} and"
        f" {pulling.free} of its slots {'is' if pulling.free == 1 else 'are'} free."
    )


def _held(session: Session, agent_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    query = (
        select(FlowRun.agent_id, func.count())
        .where(FlowRun.agent_id.in_(agent_ids), text(held("flow_run")))
        .group_by(FlowRun.agent_id)
    )
    return {agent_id: count for agent_id, count in session.execute(query) if agent_id is not None}


def _event(session: Session, agent: Agent, name: str, now: datetime) -> EventRecord:
    resource = {
        "resource.id": f"orchestrator.agent.{agent.id}",
        "resource.name": agent.name,
        "hostname": agent.hostname,
        "version": agent.version,
    }
    queues = session.execute(
        select(WorkQueue.id, WorkQueue.name).where(WorkQueue.name.in_(agent.queues)).order_by(WorkQueue.name)
    )
    related = [
        {"resource.id": f"orchestrator.work-queue.{key}", "resource.name": queue, "resource.role": "work-queue"}
        for key, queue in queues
    ]
    return EventRecord(name, resource, related=related, payload={"slots": agent.slots}, occurred=now)
