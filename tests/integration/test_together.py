"""Loops, agents, reporters and people at once: nothing deadlocks, is doubled, or stays open below an end."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from orchestrator import serializers
from orchestrator.clock import now, to_text
from orchestrator.documents.records import Job
from orchestrator.errors import TransitionRefused
from orchestrator.ids import uuid7
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import FlowRun, FlowRunState, WorkQueue
from orchestrator.server.schemas.reports import read_batches
from orchestrator.server.services.running import agents, claims, reports, runs
from tests.server_rows import ANN, add_agent, add_deployment, token

pytestmark = pytest.mark.usefixtures("database_url")
RUNS = 120

_OPEN_BELOW_ENDED = """
SELECT count(*) FROM task_run t JOIN flow_run r ON r.id = t.flow_run_id
WHERE r.ended IS NOT NULL AND t.ended IS NULL"""


def told(job: Job, end: str) -> bytes:
    """What an agent reports of a run with two tasks, one of which never ends."""
    at, ids = to_text(now()), [uuid7(), uuid7()]

    def task(one: uuid.UUID, kind: str) -> dict[str, object]:
        return {
            "kind": "task-run", "id": one, "flow_run_id": job.id, "flow_attempt": job.attempt, "name": "t",
            "task_key": "t", "attempt": 1, "state": {"type": kind, "at": at},
        }  # fmt: skip

    def flow(kind: str) -> dict[str, object]:
        return {"kind": "flow-run-state", "id": job.id, "attempt": job.attempt, "state": {"type": kind, "at": at}}

    items = [flow("RUNNING"), task(ids[0], "RUNNING"), task(ids[1], "RUNNING"), task(ids[0], "COMPLETED"), flow(end)]
    return serializers.dumps({"batches": [{"producer": uuid7(), "first": 1, "items": items}]})


def work(agent_id: uuid.UUID) -> int:
    """An agent: claims, renews, reports, until there is nothing left."""
    done = 0
    while True:
        with db.transaction() as session:
            job = claims.claim(session, agent_id, ["q"], now=now(), issue_token=token)
        if job is None:
            return done
        with db.transaction() as session:
            agents.heartbeat(session, agent_id, [(job.id, job.attempt)], now())
        with db.transaction() as session:
            reports.ingest(session, read_batches(told(job, random.choice(["COMPLETED", "FAILED", "CANCELLED"]))), now())
        done += 1


def go_round(_: int) -> int:
    """A runner of the loops."""
    return sum(loops.run(name, now() + timedelta(seconds=20)) for name in loops.LOOPS)


def cancel_some(_: int) -> int:
    """A person who cancels whatever is open."""
    done = 0
    with db.reading() as session:
        ids = list(session.scalars(select(FlowRun.id).where(FlowRun.ended.is_(None))))
    for run_id in random.sample(ids, min(len(ids), 10)):
        try:
            with db.transaction() as session:
                runs.cancel(session, run_id, ANN, now())
            done += 1
        except TransitionRefused:  # it ended meanwhile
            pass
    return done


def test_everybody_at_once() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        session.execute(update(WorkQueue).values(concurrency_limit=50))
        for _ in range(RUNS):
            runs.create(session, deployment, actor=ANN, now=now())
        crew = [add_agent(session).id for _ in range(4)]
    tasks: list[tuple[Callable[..., int], object]] = [(work, agent_id) for agent_id in crew]
    tasks += [(go_round, turn) for turn in range(3)] + [(cancel_some, turn) for turn in range(3)]
    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(function, argument) for function, argument in tasks]:
            future.result(timeout=120)
    for agent_id in crew:
        work(agent_id)
    with db.reading() as session:
        assert session.scalar(text(_OPEN_BELOW_ENDED)) == 0
        assert session.scalar(select(func.max(FlowRun.attempt))) == 1
        open_runs = set(session.scalars(select(FlowRun.state_type).where(FlowRun.ended.is_(None))))
        assert open_runs <= {"CANCELLING"}
        ends = (
            select(FlowRunState.flow_run_id, func.count())
            .where(FlowRunState.type.in_(["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]))
            .group_by(FlowRunState.flow_run_id)
        )
        assert {row[1] for row in session.execute(ends)} == {1}
