"""One flow run from the inside: the names behind its ids, its task runs over time, and how much it left behind."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...db.models import Agent, Artifact, Deployment, Flow, FlowRun, TaskRun, WorkQueue
from ..internal import FLOW_ID

#: Most task runs that one timeline holds.
TIMELINE_MAX = 5000


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


def results(session: Session, run: FlowRun, limit: int = 100) -> list[TaskRun]:
    """The task runs of a flow run's present attempt that kept a result, in the order in which they came."""
    query = select(TaskRun).where(
        TaskRun.flow_run_id == run.id, TaskRun.flow_attempt == run.attempt, TaskRun.result.is_not(None)
    )
    return list(session.scalars(query.order_by(TaskRun.id).limit(limit)))


def tallies(session: Session, flow_run_id: uuid.UUID) -> dict[str, int]:
    """How many artifacts and subflow runs a run has, for the marks on its tabs."""
    artifacts = select(func.count()).select_from(Artifact).where(Artifact.flow_run_id == flow_run_id)
    children = (
        select(func.count())
        .select_from(FlowRun)
        .where(FlowRun.parent_flow_run_id == flow_run_id, FlowRun.flow_id != FLOW_ID)
    )
    row = session.execute(select(artifacts.scalar_subquery(), children.scalar_subquery())).one()
    return {"artifacts": row[0], "subflows": row[1]}
