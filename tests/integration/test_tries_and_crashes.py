"""Runs that are tried again: far-off tries, which wait in the database, and crashes, which have their own budget."""

from __future__ import annotations

import threading
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from orchestrator import serializers
from orchestrator.clock import now, to_text
from orchestrator.documents.records import Actor, Job, State
from orchestrator.errors import TransitionRefused
from orchestrator.ids import uuid7
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, Event, FlowRun, FlowRunState, TaskRun, WorkQueue
from orchestrator.server.schemas.reports import read_batches
from orchestrator.server.services import ticks
from orchestrator.server.services.running import claims, kept_results, reports, runs, waiting
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

from ..api import ClientAs

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()
HOUR = timedelta(hours=1)
KILLED = State(S.CRASHED, message="the flow's process was ended by SIGKILL", at=NOW, details={"signal": "SIGKILL"})


def held(crash_retries: int = 0, at: datetime = NOW) -> tuple[uuid.UUID, uuid.UUID]:
    """A run that an agent executes: its id and the agent's."""
    with db.transaction() as session:
        deployment = session.scalar(select(Deployment)) or add_deployment(session, crash_retries=crash_retries)
        run, agent = add_run(session, deployment, at), add_agent(session, at=at)
    assert claim(agent.id, at) is not None
    move(run.id, State(S.RUNNING, at=at))
    return run.id, agent.id


def move(run_id: uuid.UUID, state: State, attempt: int | None = 1, actor: Actor | None = None) -> FlowRun:
    with db.transaction() as session:
        actor = actor or Actor("agent")
        return runs.move(session, run_id, state, attempt=attempt, actor=actor, now=state.at)


def claim(agent_id: uuid.UUID | None = None, at: datetime = NOW) -> Job | None:
    with db.transaction() as session:
        agent_id = agent_id or add_agent(session, at=at).id
        return claims.claim(session, agent_id, ["q"], now=at, issue_token=token)


def report(*items: dict[str, Any], at: datetime = NOW) -> list[str]:
    body = serializers.dumps({"batches": [{"producer": uuid.uuid4(), "first": 1, "items": items}]})
    with db.transaction() as session:
        return [item.code for item in reports.ingest(session, read_batches(body), at).refused]


def told(run_id: uuid.UUID, kind: str, name: str, attempt: int = 1, **details: Any) -> dict[str, Any]:
    state = {"type": kind, "name": name, "message": "m", "at": to_text(NOW), "details": details or None}
    return {"kind": "flow-run-state", "id": run_id, "attempt": attempt, "state": state}


def task_of(run_id: uuid.UUID, kind: str, name: str, key: uuid.UUID, attempt: int = 1) -> dict[str, Any]:
    state = {"type": kind, "name": name, "message": "", "at": to_text(NOW), "details": None}
    return {"kind": "task-run", "id": key, "flow_run_id": run_id, "flow_attempt": 1, "name": "t", "task_key": "k",
            "attempt": attempt, "tags": [], "upstream": [], "parent_id": None, "state": state}  # fmt: skip


def look(run_id: uuid.UUID) -> FlowRun:
    with db.reading() as session:
        return runs.get(session, run_id)


def history(run_id: uuid.UUID) -> list[tuple[str, str]]:
    with db.reading() as session:
        return [(state.type, state.name) for state in runs.states(session, run_id)]


def sweep(at: datetime) -> int:
    with db.transaction() as session:
        ticks.record(session, ticks.API, at)
        ticks.record(session, ticks.API_SINCE, NOW - HOUR)
    return loops.run("leases", at)


class TestAFarOffTry:
    def test_waits_without_lease_and_slot_and_is_taken_up_by_anybody(self) -> None:
        run_id, agent_id = held()
        with db.transaction() as session:
            session.execute(update(WorkQueue).values(concurrency_limit=1))
            other = add_run(session, session.scalars(select(Deployment)).one(), NOW)
        assert claim(agent_id) is None
        assert report(told(run_id, "SCHEDULED", "AwaitingRetry", tries=2, wait_s=600, due="whatever")) == []
        run = look(run_id)
        assert (run.state_type, run.state_name, run.due, run.tries) == (
            "SCHEDULED", "AwaitingRetry", NOW + timedelta(seconds=600), 2,
        )  # fmt: skip
        assert (run.lease_until, run.agent_id, run.started) == (None, None, None)
        job = claim(agent_id)
        assert job is not None
        assert job.id == other.id
        move(other.id, State(S.COMPLETED, at=NOW))
        with db.reading() as session:
            reason = waiting.why(session, run_id, NOW)
        assert reason is not None
        assert reason.code == "not-due"
        later = claim(at=NOW + timedelta(seconds=600))
        assert later is not None
        assert (later.id, later.attempt, later.tries) == (run_id, 2, 2)

    def test_is_not_heard_of_by_the_attempt_before(self) -> None:
        run_id, _ = held()
        waits = told(run_id, "SCHEDULED", "AwaitingRetry", tries=1, wait_s=600)
        assert report(waits) == []
        assert report(waits) == []  # the same again
        assert report(told(run_id, "RUNNING", "Retrying")) == ["only-by-claim"]
        assert report(told(run_id, "CRASHED", "Crashed")) == ["only-by-claim"]
        assert history(run_id)[-1] == ("SCHEDULED", "AwaitingRetry")

    def test_may_be_cancelled(self) -> None:
        run_id, _ = held()
        report(told(run_id, "SCHEDULED", "AwaitingRetry", tries=1, wait_s=600))
        with db.transaction() as session:
            assert runs.cancel(session, run_id, ANN, NOW).state_type == "CANCELLED"

    def test_yields_to_a_cancel_that_was_on_its_way(self) -> None:
        run_id, _ = held()
        with db.transaction() as session:
            assert runs.cancel(session, run_id, ANN, NOW).state_type == "CANCELLING"
        assert report(told(run_id, "SCHEDULED", "AwaitingRetry", tries=1, wait_s=600)) == []
        assert look(run_id).state_type == "CANCELLED"

    def test_counts_on_after_a_crash_and_anew_after_a_person_asked(self) -> None:
        run_id, _ = held()
        report(told(run_id, "RUNNING", "Retrying", tries=3, wait_s=1))
        assert (look(run_id).tries, look(run_id).due) == (3, NOW)
        move(run_id, KILLED)
        assert look(run_id).tries == 3
        with db.transaction() as session:
            assert runs.retry(session, run_id, ANN, NOW).tries == 0

    @pytest.mark.parametrize("details", [{"tries": -1, "wait_s": -1}, {"tries": "x", "wait_s": "y"}, {"wait_s": 1e300}])
    def test_nonsense_is_not_followed(self, details: dict[str, Any]) -> None:
        run_id, _ = held()
        assert report(told(run_id, "SCHEDULED", "AwaitingRetry", **details)) == []
        assert (look(run_id).tries, look(run_id).due) == (0, NOW)


class TestACrash:
    def test_is_made_good_as_often_as_the_deployment_says(self) -> None:
        run_id, _ = held(crash_retries=2)
        key = uuid7()
        assert report(task_of(run_id, "RUNNING", "Running", key)) == []
        run = move(run_id, KILLED)
        assert (run.state_type, run.state_name, run.crashes) == ("SCHEDULED", "AwaitingRetry", 1)
        assert "crash retry 1 of 2" in run.state_message
        assert "SIGKILL" in run.state_message
        assert run.due == NOW + timedelta(seconds=10)
        assert (run.lease_until, run.agent_id, run.tries) == (None, None, 0)
        with db.reading() as session:
            assert session.get_one(TaskRun, key).state_type == "CRASHED"
        assert claim() is None
        at = NOW + timedelta(seconds=10)
        for attempt, crashes in ((2, 2), (3, 2)):
            job = claim(at=at)
            assert job is not None
            assert job.attempt == attempt
            run = move(run_id, State(S.CRASHED, message="killed again", at=at), attempt)
            assert run.crashes == crashes
            at = run.due
        assert (run.state_type, run.state_message) == ("CRASHED", "killed again")
        ends = [kind for kind, name in history(run_id) if name in ("AwaitingRetry", "Crashed")]
        assert ends == ["SCHEDULED", "SCHEDULED", "CRASHED"]
        with db.reading() as session:
            about = Event.resource_id == f"orchestrator.flow-run.{run_id}"
            found = session.scalars(select(Event.event).where(about)).all()
        assert found.count("flow-run.crashed") == 1

    def test_a_person_begins_anew(self) -> None:
        run_id, _ = held(crash_retries=1)
        move(run_id, KILLED)
        at = NOW + timedelta(minutes=1)
        claim(at=at)
        move(run_id, State(S.CRASHED, at=at), 2)
        with db.transaction() as session:
            runs.retry(session, run_id, ANN, at)
        claim(at=at)
        assert move(run_id, State(S.CRASHED, at=at), 3).crashes == 1
        assert look(run_id).state_type == "SCHEDULED"

    def test_a_silent_agents_run_is_queued_again(self) -> None:
        run_id, _ = held(crash_retries=1)
        assert sweep(NOW + 10 * timedelta(minutes=1)) == 1
        run = look(run_id)
        assert (run.state_type, run.state_name, run.crashes) == ("SCHEDULED", "AwaitingRetry", 1)
        assert "silent" in run.state_message
        with pytest.raises(TransitionRefused) as refused:
            move(run_id, State(S.COMPLETED, at=NOW), 2)
        assert refused.value.code == "stale-attempt"

    def test_one_that_a_person_states_is_final(self) -> None:
        run_id, _ = held(crash_retries=1)
        assert move(run_id, KILLED, None, ANN).state_type == "CRASHED"

    def test_one_of_a_run_that_is_cancelled_is_final(self) -> None:
        run_id, _ = held(crash_retries=1)
        with db.transaction() as session:
            runs.cancel(session, run_id, ANN, NOW)
        assert move(run_id, KILLED).state_type == "CRASHED"

    def test_one_of_a_run_by_hand_is_final(self) -> None:
        run_id = uuid7()
        state = {"type": "RUNNING", "name": "", "message": "", "at": to_text(NOW), "details": None}
        report({"kind": "flow-run", "id": run_id, "flow": "hand", "name": "n", "state": state})
        assert report(told(run_id, "CRASHED", "Crashed")) == []
        assert look(run_id).state_type == "CRASHED"


def test_the_hooks_for_a_cancel_have_their_time() -> None:
    run_id, _ = held()
    with db.transaction() as session:
        runs.cancel(session, run_id, ANN, NOW)
        session.execute(update(FlowRun).values(lease_until=NOW + HOUR))
    assert sweep(NOW + timedelta(seconds=100)) == 0
    assert sweep(NOW + timedelta(seconds=121)) == 1
    assert look(run_id).state_type == "CANCELLED"


def test_a_task_that_was_undone_says_so() -> None:
    run_id, _ = held()
    key = uuid7()
    assert report(task_of(run_id, "COMPLETED", "Completed", key)) == []
    assert report(task_of(run_id, "COMPLETED", "RolledBack", key)) == []
    assert report(task_of(run_id, "FAILED", "Failed", key)) == ["terminal"]
    with db.reading() as session:
        assert session.get_one(TaskRun, key).state_name == "RolledBack"
    other = uuid7()
    both = [task_of(run_id, "COMPLETED", name, other) for name in ("Completed", "RolledBack")]
    assert report(*both) == []
    with db.reading() as session:
        assert session.get_one(TaskRun, other).state_name == "RolledBack"


def test_what_is_committed_is_kept_from_then_on() -> None:
    run_id, _ = held()
    key = uuid7()

    def committed(call_key: str, kind: str = "COMPLETED") -> dict[str, Any]:
        item = task_of(run_id, kind, kind.capitalize(), key) | {"call_key": call_key, "result": {"value": 1}}
        return {**item, "state": {**item["state"], "details": {"committed": True}}}

    assert report(task_of(run_id, "RUNNING", "Running", key), task_of(run_id, "COMPLETED", "Completed", key)) == []
    assert kept(run_id) == []
    assert report(committed("abc")) == []
    assert report(committed("def")) == ["terminal"]
    assert report(committed("def", "FAILED")) == ["terminal"]
    assert kept(run_id) == ["abc"]
    with db.reading() as session:
        about = Event.resource_id == f"orchestrator.task-run.{key}"
        events = session.scalars(select(Event.event).where(about).order_by(Event.id)).all()
    assert events == ["task-run.running", "task-run.completed"]
    assert report(task_of(run_id, "COMPLETED", "RolledBack", key)) == []
    assert kept(run_id) == []


def kept(run_id: uuid.UUID) -> list[str]:
    with db.reading() as session:
        return [item.call_key for item in kept_results.listing(session, run_id).items]


def test_over_rest(client_as: ClientAs) -> None:
    editor = client_as("editor")
    document = {"flow": "f", "name": "d", "entrypoint": "flow.py:f", "crash_retries": 3}
    made = editor.post("/api/v1/deployments", json=document)
    assert made.status_code == 201, made.json
    assert made.json["deployment"]["crash_retries"] == 3
    again = editor.post("/api/v1/deployments", json={**document, "crash_retries": 0})
    assert again.json["changes"] == ["crash retries: 3 -> 0"]
    for wrong in (-1, 101, "1", 1.5, None):
        refused = editor.post("/api/v1/deployments", json={**document, "crash_retries": wrong})
        assert (refused.status_code, list(refused.json["errors"])) == (422, ["crash_retries"])
    run = editor.post("/api/v1/deployments/f/d/runs", json={}).json
    assert (run["tries"], run["crashes"]) == (0, 0)


def test_pain_8_no_run_that_completed_is_crashed_by_the_sweep_that_looks_just_then() -> None:
    """A thousand runs whose leases lapse while their agents tell of their ends."""
    count = 1000
    with db.transaction() as session:
        deployment, agent = add_deployment(session), add_agent(session, at=NOW)
        ids = [add_run(session, deployment, NOW).id for _ in range(count)]
        ran = {"state_type": "RUNNING", "state_name": "Running", "attempt": 1, "agent_id": agent.id, "started": NOW}
        session.execute(update(FlowRun).values(**ran, lease_until=NOW))

    def ends(mine: list[uuid.UUID]) -> None:
        for first in range(0, len(mine), 10):
            report(*(told(run_id, "COMPLETED", "Completed") for run_id in mine[first : first + 10]))

    threads = [threading.Thread(target=ends, args=(ids[part::3],)) for part in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sweep(NOW + HOUR)
    for thread in threads:
        thread.join()
    sweep(NOW + HOUR)
    with db.reading() as session:
        ended = session.execute(
            select(FlowRunState.flow_run_id, func.count(), func.min(FlowRunState.type))
            .where(FlowRunState.type.in_(["COMPLETED", "CRASHED"]))
            .group_by(FlowRunState.flow_run_id)
        ).all()
        states = dict(session.execute(select(FlowRun.id, FlowRun.state_type)).all())
    assert len(ended) == count
    assert {many for _, many, _ in ended} == {1}, "each run ended once"
    assert {run_id: kind for run_id, _, kind in ended} == states
    assert set(states.values()) == {"COMPLETED", "CRASHED"}, "the two have met"
