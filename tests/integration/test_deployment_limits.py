"""Limits of deployments: kept exactly, whoever claims; what becomes of runs that find no place (pain 44)."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from orchestrator.clock import now
from orchestrator.documents.records import Job, State
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, Event, FlowRun
from orchestrator.server.services.running import claims, runs, waiting
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

from ..api import ClientAs

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()


def claim(agent_id: uuid.UUID, *queues: str) -> Job | None:
    with db.transaction() as session:
        return claims.claim(session, agent_id, queues or ("q",), now=NOW, issue_token=token)


def end(job: Job, at: float = 1) -> None:
    with db.transaction() as session:
        runs.move(session, job.id, State(S.COMPLETED), attempt=job.attempt, actor=ANN, now=NOW + timedelta(seconds=at))


def state_of(run_id: uuid.UUID) -> tuple[str, str, str]:
    with db.reading() as session:
        run = runs.get(session, run_id)
        return run.state_type, run.state_name, run.state_message


def burst(limit: int, count: int, **facts: str) -> tuple[uuid.UUID, list[uuid.UUID]]:
    """An agent, and so many runs that wait of a deployment with that limit."""
    with db.transaction() as session:
        deployment, agent = add_deployment(session, concurrency_limit=limit, **facts), add_agent(session)
        return agent.id, [runs.create(session, deployment, actor=ANN, now=NOW)[0] for _ in range(count)]


def test_a_burst_of_two_hundred_never_overshoots_and_all_of_it_is_run() -> None:
    agent_id, _ = burst(10, 200)

    def count(*types: str) -> int:
        with db.reading() as session:
            return session.scalar(select(func.count()).where(FlowRun.state_type.in_(types))) or 0

    def work(_: int) -> tuple[int, int]:
        """Take what there is, and end something only when there is nothing to take."""
        mine: list[Job] = []
        done = most = 0
        while True:
            if (job := claim(agent_id)) is not None:
                mine.append(job)
                most = max(most, count("PENDING", "RUNNING"))
            elif mine:
                end(mine.pop())
                done += 1
            elif not count("SCHEDULED"):
                return done, most

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(16)))
    assert sum(done for done, _ in found) == 200
    assert max(most for _, most in found) == 10


def test_a_burst_of_claims_fills_the_limit_and_no_more() -> None:
    agent_id, _ = burst(10, 60)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: claim(agent_id), range(60)))
    assert len([job for job in found if job]) == 10


def test_the_limit_holds_over_two_queues() -> None:
    """Runs that were made before the deployment changed its queue lie in the old one."""
    agent_id, _ = burst(4, 20)
    with db.transaction() as session:
        other = add_deployment(session, name="other", queue="p")
        deployment = session.scalars(select(Deployment).where(Deployment.name == "prod")).one()
        deployment.work_queue_id = other.work_queue_id
        for _ in range(20):
            runs.create(session, deployment, actor=ANN, now=NOW)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda n: claim(agent_id, "qp"[n % 2]), range(32)))
    assert len([job for job in found if job]) == 4


def test_runs_of_other_deployments_pass_by() -> None:
    agent_id, _ = burst(1, 3)
    assert claim(agent_id)
    with db.transaction() as session:
        free = add_run(session, add_deployment(session, name="free"), NOW)
    job = claim(agent_id)
    assert job is not None
    assert job.id == free.id
    assert claim(agent_id) is None


def test_a_limit_of_nothing_starts_nothing_and_says_so() -> None:
    agent_id, (run_id,) = burst(0, 1)
    assert claim(agent_id) is None
    with db.reading() as session:
        reason = waiting.why(session, run_id, NOW)
    assert reason is not None
    assert (reason.code, reason.message) == (
        "deployment-limit",
        "Deployment prod is limited to no run: raise the limit.",
    )


def test_who_waits_is_told_who_holds_the_places() -> None:
    agent_id, run_ids = burst(1, 2)
    job = claim(agent_id)
    assert job is not None
    (other,) = set(run_ids) - {job.id}
    with db.reading() as session:
        reason = waiting.why(session, other, NOW)
    assert reason is not None
    told = f"Deployment prod has 1 of at most 1 runs at once: {job.name} ({job.id})."
    assert (reason.code, reason.message) == ("deployment-limit", told)
    end(job)
    with db.reading() as session:
        reason = waiting.why(session, other, NOW)
    assert reason is not None
    assert reason.code == "any-moment"
    assert claim(agent_id)


def test_what_comes_while_it_is_full_waits_for_its_turn() -> None:
    agent_id, _ = burst(1, 2)
    first = claim(agent_id)
    assert first is not None
    assert loops.run("collisions", NOW) == 0
    end(first)
    assert claim(agent_id) is not None


def test_what_comes_while_it_is_full_is_cancelled_once_where_it_shall() -> None:
    agent_id, run_ids = burst(1, 3, collision="cancel-new")
    assert loops.run("collisions", NOW) == 0, "nothing is held yet: nothing collides"
    job = claim(agent_id)
    assert job is not None
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(lambda _: loops.run("collisions", NOW), range(2))) == 2
    for run_id in set(run_ids) - {job.id}:
        kind, name, message = state_of(run_id)
        assert (kind, name) == ("CANCELLED", "Skipped")
        assert f"as many runs as it may at once (1): {job.name} ({job.id})." in message
    assert loops.run("collisions", NOW) == 0
    with db.reading() as session:
        told = select(func.count()).where(Event.event == "flow-run.cancelled")
        assert session.scalar(told) == 2


def test_the_end_that_makes_room_cancels_what_collided_with_it() -> None:
    """No round of the clock came by meanwhile: the run must not start all the same."""
    agent_id, run_ids = burst(1, 2, collision="cancel-new")
    job = claim(agent_id)
    assert job is not None
    end(job)
    (other,) = set(run_ids) - {job.id}
    assert state_of(other)[:2] == ("CANCELLED", "Skipped")
    assert job.name in state_of(other)[2]
    assert claim(agent_id) is None


def test_what_was_cancelled_and_is_retried_waits_for_its_turn() -> None:
    agent_id, run_ids = burst(1, 2, collision="cancel-new")
    job = claim(agent_id)
    assert job is not None
    (other,) = set(run_ids) - {job.id}
    loops.run("collisions", NOW)
    with db.transaction() as session:
        runs.retry(session, other, ANN, NOW)
    assert loops.run("collisions", NOW + timedelta(seconds=1)) == 0
    assert state_of(other)[0] == "SCHEDULED"


def test_what_is_not_due_does_not_collide() -> None:
    agent_id, _ = burst(1, 1, collision="cancel-new")
    assert claim(agent_id)
    with db.transaction() as session:
        deployment = session.scalars(select(Deployment)).one()
        later = add_run(session, deployment, NOW, due=NOW + timedelta(minutes=5))
    assert loops.run("collisions", NOW) == 0
    assert loops.run("collisions", NOW + timedelta(minutes=6)) == 1
    assert state_of(later.id)[0] == "CANCELLED"


def test_a_limit_that_is_raised_or_lifted_is_felt_at_once() -> None:
    agent_id, _ = burst(1, 4)
    assert claim(agent_id)
    assert claim(agent_id) is None
    for limit in (2, None):
        with db.transaction() as session:
            session.execute(update(Deployment).values(concurrency_limit=limit))
        assert claim(agent_id)


def test_limits_over_rest(client_as: ClientAs) -> None:
    editor: FlaskClient = client_as("editor")
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "concurrency_limit": 2, "collision": "cancel-new"}
    made = editor.post("/api/v1/deployments", json=document)
    assert (made.json["deployment"]["concurrency_limit"], made.json["deployment"]["collision"]) == (2, "cancel-new")
    assert editor.get("/api/v1/deployments/f/d/document").json["collision"] == "cancel-new"
    changed = editor.patch("/api/v1/deployments/f/d", json={"concurrency_limit": None, "collision": "enqueue"})
    assert (changed.json["concurrency_limit"], changed.json["collision"]) == (None, "enqueue")
    for field, wrong in (("concurrency_limit", -1), ("concurrency_limit", "2"), ("collision", "queue")):
        refused = editor.patch("/api/v1/deployments/f/d", json={field: wrong})
        assert (refused.status_code, list(refused.json["errors"])) == (422, [field])
