"""Rows that tests of the server begin with."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.server.db.models import Agent, Deployment, Flow, FlowRun, WorkQueue
from orchestrator.server.services.running import agents, runs

ANN = Actor("api-key", "1", "ann")


def add_deployment(
    session: Session, flow: str = "etl", name: str = "prod", queue: str = "q", **facts: Any
) -> Deployment:
    """A deployment; flow and queue are made when missing."""
    found_flow = session.scalar(select(Flow).where(Flow.name == flow)) or Flow(name=flow)
    found_queue = session.scalar(select(WorkQueue).where(WorkQueue.name == queue)) or WorkQueue(name=queue)
    deployment = Deployment(flow=found_flow, work_queue=found_queue, name=name, entrypoint="flow.py:etl", **facts)
    for default in ("parameters", "parameter_schema", "tags"):
        if default not in facts:
            setattr(deployment, default, [] if default == "tags" else {})
    session.add(deployment)
    session.flush()
    return deployment


def add_agent(session: Session, queues: Sequence[str] = ("q",), at: datetime | None = None) -> Agent:
    """An agent that just registered."""
    return agents.register(
        session, name="agent-1", hostname="host", pid=1, version="1", transport="redis", queues=queues, slots=10,
        now=at or now(),
    )  # fmt: skip


def add_run(session: Session, deployment: Deployment, at: datetime | None = None, **facts: Any) -> FlowRun:
    """A run, SCHEDULED."""
    run_id, _ = runs.create(session, deployment, actor=ANN, now=at or now(), **facts)
    return runs.get(session, run_id)


def token(run_id: uuid.UUID, attempt: int) -> str:
    """Stands in for the tokens that runs present."""
    return f"run_{run_id}_{attempt}"
