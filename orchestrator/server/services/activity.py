"""What pages show of many runs at once, each in one statement however many rows the tables hold.

Bounded by design: the task runs of one run, the last few runs of some deployments, the end of one run's log.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import column, func, select, true, values
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.orm import Session

from ...states import ACTIVE, StateType
from ..db.models import Agent, Artifact, Deployment, Event, Flow, FlowRun, Log, TaskRun, WorkQueue
from .logs import LogFilter

#: Most task runs that one timeline holds.
TIMELINE_MAX = 5000


@dataclass(frozen=True)
class RunBrief:
    """As much of a run as a mark in a history bar needs."""

    id: uuid.UUID
    name: str
    state_type: str
    state_name: str
    due: datetime
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True)
class TaskBrief:
    """As much of a task run as a row of the timeline needs."""

    id: uuid.UUID
    name: str
    state_type: str
    state_name: str
    started: datetime | None
    ended: datetime | None
    attempt: int
    state_at: datetime


@dataclass(frozen=True)
class RunContext:
    """The names behind the ids of one flow run."""

    flow: Flow
    deployment: Deployment | None
    work_queue: WorkQueue | None
    agent: Agent | None
    parent: FlowRun | None


def context(session: Session, run: FlowRun) -> RunContext:
    """What ``run`` refers to, in one statement."""
    query = (
        select(Flow, Deployment, WorkQueue, Agent)
        .select_from(FlowRun)
        .join(Flow, Flow.id == FlowRun.flow_id)
        .outerjoin(Deployment, Deployment.id == FlowRun.deployment_id)
        .outerjoin(WorkQueue, WorkQueue.id == FlowRun.work_queue_id)
        .outerjoin(Agent, Agent.id == FlowRun.agent_id)
        .where(FlowRun.id == run.id)
    )
    flow, deployment, work_queue, agent = session.execute(query).one()
    above = session.get(FlowRun, run.parent_flow_run_id) if run.parent_flow_run_id else None
    return RunContext(flow, deployment, work_queue, agent, above)


def timeline(
    session: Session, flow_run_id: uuid.UUID, flow_attempt: int | None = None, since: datetime | None = None
) -> list[TaskBrief]:
    """The task runs of a flow run in the order in which they came, at most :data:`TIMELINE_MAX`.

    Args:
        flow_attempt: Only those of this attempt of the flow run; None: of all.
        since: Only those whose state changed at or after this instant.
    """
    query = select(
        TaskRun.id, TaskRun.name, TaskRun.state_type, TaskRun.state_name, TaskRun.started, TaskRun.ended,
        TaskRun.attempt, TaskRun.state_at,
    ).where(TaskRun.flow_run_id == flow_run_id)  # fmt: skip
    if flow_attempt is not None:
        query = query.where(TaskRun.flow_attempt == flow_attempt)
    if since is not None:
        query = query.where(TaskRun.state_at >= since)
    return [TaskBrief(*row) for row in session.execute(query.order_by(TaskRun.id).limit(TIMELINE_MAX))]


def history(session: Session, deployment_ids: Sequence[uuid.UUID], each: int = 12) -> dict[uuid.UUID, list[RunBrief]]:
    """The last ``each`` runs of each deployment that were begun or ended, oldest first."""
    quiet = StateType.SCHEDULED.value
    return _runs_of(
        session, FlowRun.deployment_id, deployment_ids, FlowRun.state_type != quiet, FlowRun.id.desc(), each
    )


def upcoming(session: Session, deployment_ids: Sequence[uuid.UUID], each: int = 1) -> dict[uuid.UUID, list[RunBrief]]:
    """The next ``each`` scheduled runs of each deployment, soonest last."""
    waiting = StateType.SCHEDULED.value
    return _runs_of(
        session, FlowRun.deployment_id, deployment_ids, FlowRun.state_type == waiting, FlowRun.due.asc(), each
    )


def _runs_of(
    session: Session, owner: Any, owner_ids: Sequence[uuid.UUID], condition: Any, order: Any, each: int
) -> dict[uuid.UUID, list[RunBrief]]:
    found: dict[uuid.UUID, list[RunBrief]] = {key: [] for key in owner_ids}
    if not owner_ids:
        return found
    wanted = values(column("id", UUID(as_uuid=True)), name="wanted").data([(key,) for key in owner_ids])
    last = (
        select(
            FlowRun.id,
            FlowRun.name,
            FlowRun.state_type,
            FlowRun.state_name,
            FlowRun.due,
            FlowRun.started,
            FlowRun.ended,
        )
        .where(owner == wanted.c.id, condition)
        .order_by(order)
        .limit(each)
        .lateral("last")
    )
    for key, *brief in session.execute(select(wanted.c.id, last).select_from(wanted.join(last, true()))):
        found[key].insert(0, RunBrief(*brief))
    return found


def held_by(session: Session, agent_ids: Sequence[uuid.UUID], each: int = 5) -> dict[uuid.UUID, list[RunBrief]]:
    """The runs that agents hold at the moment, at most ``each`` of them."""
    busy = FlowRun.state_type.in_([kind.value for kind in ACTIVE])
    return _runs_of(session, FlowRun.agent_id, agent_ids, busy, FlowRun.id.asc(), each)


def log_lines(
    session: Session, wanted: LogFilter, limit: int = 500, before: uuid.UUID | None = None
) -> tuple[list[Log], bool]:
    """The newest lines of a run's log (or, with ``wanted.after``, the next ones), in order.

    Args:
        before: Only lines before this one: what "load earlier" asks for.

    Returns:
        The lines, and whether there are more in the direction that was read.
    """
    query = select(Log).where(Log.flow_run_id == wanted.flow_run_id)
    if wanted.task_run_id is not None:
        query = query.where(Log.task_run_id == wanted.task_run_id)
    if wanted.level is not None:
        query = query.where(Log.level >= wanted.level)
    if wanted.search:
        query = query.where(Log.message.icontains(wanted.search, autoescape=True))
    if wanted.attempt is not None:
        query = query.where(Log.attempt == wanted.attempt)
    if before is not None:
        query = query.where(Log.id < before)
    if wanted.after is not None:
        onward = session.scalars(query.where(Log.id > wanted.after).order_by(Log.id).limit(limit + 1)).all()
        return list(onward[:limit]), len(onward) > limit
    backward = session.scalars(query.order_by(Log.id.desc()).limit(limit + 1)).all()
    return list(reversed(backward[:limit])), len(backward) > limit


def deployment_names(session: Session, limit: int = 200) -> list[tuple[uuid.UUID, str]]:
    """Ids and full names (``flow/deployment``) of deployments, by name: what a choice in a form offers."""
    query = (
        select(Deployment.id, Flow.name, Deployment.name)
        .join(Flow, Flow.id == Deployment.flow_id)
        .order_by(Flow.name, Deployment.name)
        .limit(limit)
    )
    return [(key, f"{flow}/{name}") for key, flow, name in session.execute(query)]


def tallies(session: Session, flow_run_id: uuid.UUID) -> dict[str, int]:
    """How many artifacts and subflow runs a run has, for the marks on its tabs."""
    artifacts = select(func.count()).select_from(Artifact).where(Artifact.flow_run_id == flow_run_id)
    children = select(func.count()).select_from(FlowRun).where(FlowRun.parent_flow_run_id == flow_run_id)
    row = session.execute(select(artifacts.scalar_subquery(), children.scalar_subquery())).one()
    return {"artifacts": row[0], "subflows": row[1]}


def artifacts_of(session: Session, flow_run_id: uuid.UUID, limit: int = 100) -> list[Artifact]:
    """The artifacts of one run, oldest first."""
    query = select(Artifact).where(Artifact.flow_run_id == flow_run_id).order_by(Artifact.id).limit(limit)
    return list(session.scalars(query))


def events_of(session: Session, resource_id: str, limit: int = 100) -> list[Event]:
    """The last events of one resource, newest first."""
    query = select(Event).where(Event.resource_id == resource_id).order_by(Event.id.desc()).limit(limit)
    return list(session.scalars(query))
