"""Claims: each run is taken once, in the right order, within the limits, whoever asks at the same time."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update

from orchestrator.clock import now
from orchestrator.documents.records import Job
from orchestrator.errors import NotFound
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Event, FlowRun, FlowRunState, WorkQueue
from orchestrator.server.services.running import agents, claims, runs
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now()


def claim(agent_id: uuid.UUID, *queues: str, **more: object) -> Job | None:
    with db.transaction() as session:
        return claims.claim(session, agent_id, queues or ("q",), now=NOW, issue_token=token, **more)  # type: ignore[arg-type]


def test_a_claim_gives_all_that_an_agent_needs() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, parameters={"n": 1}, tags=["nightly"], snapshot="abc", storage_path="p")
        run, agent = add_run(session, deployment, NOW, parameters={"m": 2}), add_agent(session)
    job = claim(agent.id)
    assert job is not None
    assert (job.id, job.attempt, job.flow, job.work_queue) == (run.id, 1, "etl", "q")
    assert job.parameters == {"n": 1, "m": 2}
    assert job.tags == ["nightly"]
    assert job.storage is not None
    assert (job.storage.path, job.storage.snapshot) == ("p", "abc")
    assert job.token == token(run.id, 1)
    assert (job.state.type, job.starts_in_ms) == (StateType.PENDING, 0)
    assert Job.read(job.write()) == job


def test_a_claim_leaves_a_lease_a_history_row_and_an_event() -> None:
    with db.transaction() as session:
        run, agent = add_run(session, add_deployment(session), NOW), add_agent(session)
    claim(agent.id)
    with db.reading() as session:
        held = runs.get(session, run.id)
        assert (held.agent_id, held.attempt, held.lease_until) == (agent.id, 1, NOW + timedelta(seconds=30))
        assert [(row.type, row.attempt) for row in runs.states(session, run.id)] == [("SCHEDULED", 0), ("PENDING", 1)]
        event = session.scalar(select(Event).where(Event.event == "flow-run.pending"))
        assert event is not None
        assert event.resource["resource.id"] == f"orchestrator.flow-run.{run.id}"
        assert {row["resource.role"] for row in event.related} == {"flow", "deployment", "work-queue", "agent"}


def test_running_rides_on_the_claim_when_the_code_is_there() -> None:
    with db.transaction() as session:
        add_run(session, add_deployment(session, snapshot="abc"), NOW)
        agent = add_agent(session)
    job = claim(agent.id, cached=["abc"])
    assert job is not None
    assert job.state.type is StateType.RUNNING


def test_what_is_due_in_a_moment_is_given_with_the_time_to_wait() -> None:
    with db.transaction() as session:
        deployment, agent = add_deployment(session, snapshot="abc"), add_agent(session)
        add_run(session, deployment, NOW, due=NOW + timedelta(seconds=1.5))
        add_run(session, deployment, NOW, due=NOW + timedelta(seconds=3))
    job = claim(agent.id, cached=["abc"])
    assert job is not None
    assert (job.state.type, job.starts_in_ms) == (StateType.PENDING, 1500)
    assert claim(agent.id) is None


def test_the_most_urgent_run_of_all_queues_comes_first() -> None:
    with db.transaction() as session:
        agent = add_agent(session, ["q", "p"])
        slow, fast = add_deployment(session), add_deployment(session, name="fast", queue="p")
        order = [
            add_run(session, fast, NOW, priority=5),
            add_run(session, slow, NOW, priority=1),
            add_run(session, slow, NOW, due=NOW - timedelta(seconds=2)),
            add_run(session, fast, NOW, due=NOW - timedelta(seconds=1)),
        ]
    found = [claim(agent.id, "q", "p") for _ in order]
    assert [job.id for job in found if job] == [run.id for run in order]


def test_among_equally_urgent_queues_the_preferred_run_decides() -> None:
    with db.transaction() as session:
        agent = add_agent(session, ["q", "p"])
        add_run(session, add_deployment(session), NOW - timedelta(seconds=5))
        hinted = add_run(session, add_deployment(session, name="fast", queue="p"), NOW)
    job = claim(agent.id, "q", "p", preferred=hinted.id)
    assert job is not None
    assert job.id == hinted.id


@pytest.mark.parametrize("paused", ["work_queue", "deployment"])
def test_what_is_paused_gives_nothing(paused: str) -> None:
    with db.transaction() as session:
        agent = add_agent(session)
        add_run(session, add_deployment(session), NOW)
        session.execute(text(f"UPDATE {paused} SET paused = true"))
    assert claim(agent.id) is None


def test_an_agent_that_is_not_known_registers_anew() -> None:
    with db.transaction() as session:
        agent = add_agent(session)
        agents.goodbye(session, agent.id, NOW)
    for stranger in (agent.id, uuid.uuid4()):
        with pytest.raises(NotFound, match="register anew"):
            claim(stranger)


def test_twenty_agents_and_a_thousand_runs_each_is_taken_once() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        for _ in range(1000):
            runs.create(session, deployment, actor=ANN, now=NOW)
        crew = [add_agent(session).id for _ in range(20)]

    def work(agent_id: uuid.UUID) -> list[uuid.UUID]:
        taken = []
        while (job := claim(agent_id)) is not None:
            taken.append(job.id)
        return taken

    with ThreadPoolExecutor(20) as pool:
        taken = Counter(run_id for found in pool.map(work, crew) for run_id in found)
    assert len(taken) == 1000
    assert set(taken.values()) == {1}
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(FlowRun).where(FlowRun.attempt == 1)) == 1000
        claimed = select(func.count()).select_from(FlowRunState).where(FlowRunState.type == "PENDING")
        assert session.scalar(claimed) == 1000


def test_a_limit_is_kept_exactly_under_a_burst() -> None:
    with db.transaction() as session:
        deployment, agent = add_deployment(session), add_agent(session)
        session.execute(update(WorkQueue).values(concurrency_limit=4))
        for _ in range(60):
            runs.create(session, deployment, actor=ANN, now=NOW)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: claim(agent.id), range(60)))
    assert len([job for job in found if job]) == 4


def test_a_slot_is_free_again_when_its_run_ends() -> None:
    with db.transaction() as session:
        deployment, agent = add_deployment(session), add_agent(session)
        session.execute(update(WorkQueue).values(concurrency_limit=1))
        first, second = (add_run(session, deployment, NOW - timedelta(seconds=9 - n)) for n in range(2))
    assert claim(agent.id)
    assert claim(agent.id) is None
    with db.transaction() as session:
        runs.move(session, first.id, runs.State(StateType.CRASHED), attempt=1, actor=ANN, now=NOW)
    job = claim(agent.id)
    assert job is not None
    assert job.id == second.id
