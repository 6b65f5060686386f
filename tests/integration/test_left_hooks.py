"""Who calls the hooks of an end: whoever undertakes to first, and nobody else."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from orchestrator import serializers
from orchestrator.clock import now, to_text
from orchestrator.documents.records import Actor, Job, State
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, FlowRun
from orchestrator.server.schemas.reports import read_batches
from orchestrator.server.services import ticks
from orchestrator.server.services.identity import tokens
from orchestrator.server.services.internal import FLOW_ID
from orchestrator.server.services.running import claims, left_hooks, reports, runs
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

from ..api import ClientAs

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()
HOUR = timedelta(hours=1)
NAMES = ["on_cancellation", "on_crashed"]


def claim() -> Job | None:
    with db.transaction() as session:
        return claims.claim(session, add_agent(session, at=NOW).id, ["q"], now=NOW, issue_token=token)


def report(*items: dict[str, Any], allowed: uuid.UUID | None = None) -> list[str]:
    body = serializers.dumps({"batches": [{"producer": uuid.uuid4(), "first": 1, "items": items}]})
    with db.transaction() as session:
        return [item.code for item in reports.ingest(session, read_batches(body), NOW, allowed).refused]


def hooks(run_id: uuid.UUID, names: list[str], attempt: int = 1) -> dict[str, Any]:
    return {"kind": "flow-run-hooks", "id": run_id, "attempt": attempt, "names": names}


def log(run_id: uuid.UUID) -> dict[str, Any]:
    return {"kind": "log", "flow_run_id": run_id, "attempt": 1, "message": "m", "at": to_text(NOW)}


def held(names: list[str] | None = None, **facts: Any) -> uuid.UUID:
    """A run that an agent executes, whose process has told of its hooks."""
    with db.transaction() as session:
        deployment = session.scalar(select(Deployment).where(Deployment.flow_id != FLOW_ID))
        run = add_run(session, deployment or add_deployment(session, **facts), NOW)
    assert claim() is not None
    move(run.id, S.RUNNING)
    assert report(hooks(run.id, NAMES if names is None else names)) == []
    return run.id


def move(run_id: uuid.UUID, kind: StateType, attempt: int | None = 1) -> FlowRun:
    with db.transaction() as session:
        state = State(kind, message="m", at=NOW)
        return runs.move(session, run_id, state, attempt=attempt, actor=Actor("agent"), now=NOW)


def take(run_id: uuid.UUID, attempt: int = 1) -> bool:
    with db.transaction() as session:
        return left_hooks.take(session, run_id, attempt)


def sweep() -> int:
    with db.transaction() as session:
        ticks.record(session, ticks.API, NOW)
        ticks.record(session, ticks.API_SINCE, NOW - HOUR)
    return loops.run("leases", NOW)


def errands() -> list[FlowRun]:
    with db.reading() as session:
        return list(session.scalars(select(FlowRun).where(FlowRun.flow_id == FLOW_ID).order_by(FlowRun.id)))


def test_somebody_is_sent_once_for_the_hooks_of_a_lost_run() -> None:
    run_id = held()
    with db.transaction() as session:
        session.execute(update(FlowRun).values(lease_until=NOW - timedelta(seconds=1)))
    sweep()
    (errand,) = errands()
    assert errand.parent_flow_run_id == run_id
    found = errand.parameters["hooks_of"]
    assert (found["job"]["id"], found["job"]["attempt"], found["state"]["type"]) == (str(run_id), 1, "CRASHED")
    assert found["job"]["token"] == ""
    assert not take(run_id)
    assert sweep() == 0
    assert len(errands()) == 1


def test_whoever_undertook_to_call_them_is_left_to_it() -> None:
    run_id = held()
    assert take(run_id)
    assert not take(run_id)
    move(run_id, S.CRASHED)
    assert sweep() == 0
    assert errands() == []


@pytest.mark.parametrize("kind", [S.COMPLETED, S.FAILED])
def test_nobody_is_sent_for_an_end_without_a_hook(kind: StateType) -> None:
    move(held(), kind)
    assert sweep() == 0


def test_nobody_is_sent_for_a_flow_without_hooks() -> None:
    move(held([]), S.CRASHED)
    assert sweep() == 0


def test_an_end_that_was_told_without_its_hooks_is_seen_to() -> None:
    """The flow's process could not ask whether it may call them."""
    move(held(["on_completion"]), S.COMPLETED)
    sweep()
    assert [errand.parameters["hooks_of"]["state"]["type"] for errand in errands()] == ["COMPLETED"]


def test_each_crash_of_a_run_that_is_tried_again_has_its_hooks() -> None:
    run_id = held(crash_retries=1)
    assert move(run_id, S.CRASHED).state_type == "SCHEDULED"
    with db.transaction() as session:
        session.execute(update(FlowRun).values(due=NOW))
    assert claim() is not None
    move(run_id, S.RUNNING, 2)
    assert report(hooks(run_id, NAMES, 1)) == ["stale-attempt"]
    assert report(hooks(run_id, NAMES, 2)) == []
    assert not take(run_id, 1)
    assert move(run_id, S.CRASHED, 2).state_type == "CRASHED"
    sweep()
    assert sorted(errand.parameters["hooks_of"]["job"]["attempt"] for errand in errands()) == [1, 2]


def test_a_suspended_run_that_is_cancelled_has_its_hooks_called() -> None:
    run_id = held()
    with db.transaction() as session:
        runs.suspend(session, run_id, ANN, NOW)
    move(run_id, S.PAUSED)
    with db.transaction() as session:
        assert runs.cancel(session, run_id, ANN, NOW).state_type == "CANCELLED"
    sweep()
    assert [errand.parameters["hooks_of"]["state"]["type"] for errand in errands()] == ["CANCELLED"]


def test_hooks_of_a_run_whose_deployment_was_deleted_are_not_called() -> None:
    run_id = held()
    move(run_id, S.CRASHED)
    with db.transaction() as session:
        session.execute(update(FlowRun).where(FlowRun.id == run_id).values(deployment_id=None))
    assert sweep() == 1
    assert errands() == []
    assert sweep() == 0


def test_who_is_sent_runs_where_the_run_did_with_its_code() -> None:
    run_id = held(["on_crashed"], infrastructure_overrides={"env": {"A": "b"}}, storage_path="/p", snapshot="abc")
    move(run_id, S.CRASHED)
    with db.transaction() as session:
        session.execute(update(Deployment).where(Deployment.flow_id != FLOW_ID).values(snapshot="def"))
    sweep()
    job = claim()
    assert job is not None
    assert job.infrastructure.overrides == {"env": {"A": "b"}}
    assert job.storage is not None
    assert (job.storage.path, job.storage.snapshot) == ("/p", "abc")
    assert job.parameters["hooks_of"]["job"]["storage"]["snapshot"] == "abc"


def test_who_is_sent_writes_into_the_log_of_the_run_and_no_other() -> None:
    run_id = held(["on_crashed"])
    move(run_id, S.CRASHED)
    other = held([])
    sweep()
    assert claim() is not None
    (errand,) = errands()
    assert report(log(run_id), log(errand.id), allowed=errand.id) == []
    assert report(log(other), allowed=errand.id) == ["not-yours"]
    assert report(hooks(run_id, NAMES), allowed=errand.id) == ["not-yours"]


def test_over_rest(client_as: ClientAs) -> None:
    run_id = held()
    path, agent = f"/api/v1/flow-runs/{run_id}/hooks", client_as("agent")
    assert agent.post(path, json={"attempt": 0}).status_code == 422
    own = {"Authorization": f"Bearer {tokens.issue(run_id, 1)}"}
    assert agent.post(path, json={"attempt": 2}).json == {"call": False}
    assert client_as("").post(path, json={"attempt": 1}, headers=own).json == {"call": True}
    assert agent.post(path, json={"attempt": 1}).json == {"call": False}
