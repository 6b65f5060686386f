"""After an hour in which nobody took runs, the latest slot of a schedule is run, not all that passed (pain 29)."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from orchestrator.clock import now
from orchestrator.documents.records import Job, State
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Event, FlowRun, Schedule
from orchestrator.server.services.running import agents, claims, runs
from orchestrator.states import NAMED, StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now().replace(minute=2, second=0, microsecond=0)
BACK = NOW + timedelta(hours=1)
S = StateType


@pytest.fixture
def five() -> uuid.UUID:
    """A schedule that fires every five minutes, with its runs made ahead."""
    with db.transaction() as session:
        schedule = Schedule(deployment_id=add_deployment(session).id, slug="five", cron="*/5 * * * *", parameters={})
        session.add(schedule)
        session.flush()
        found = schedule.id
    loops.run("schedule", NOW)
    return found


def claim_all(at: datetime) -> list[Job]:
    """An agent comes, and takes whatever it is given."""
    taken = []
    with db.transaction() as session:
        agent = add_agent(session, at=at)
    while True:
        with db.transaction() as session:
            job = claims.claim(session, agent.id, ["q"], now=at, issue_token=token)
        if job is None:
            return taken
        taken.append(job)


def runs_of(schedule: uuid.UUID, name: str) -> list[FlowRun]:
    with db.reading() as session:
        query = select(FlowRun).where(FlowRun.schedule_id == schedule, FlowRun.state_name == name)
        return list(session.scalars(query.order_by(FlowRun.slot)))


def test_pain_29_the_scheduler_was_off(five: uuid.UUID) -> None:
    """No rows were made for the hour: the loop makes the latest alone."""
    with db.transaction() as session:
        runs.drop_scheduled(session, [five])
        session.execute(update(Schedule).values(materialised_to=NOW))
    loops.run("schedule", BACK)
    assert [job.starts_in_ms for job in claim_all(BACK)] == [0]
    assert runs_of(five, "Skipped") == []


@pytest.mark.parametrize("loop_is_first", [True, False])
def test_pain_29_no_agent_was_there(five: uuid.UUID, loop_is_first: bool) -> None:
    if loop_is_first:
        loops.run("late", BACK)
    taken = claim_all(BACK)
    assert len(taken) == 1
    loops.run("late", BACK)
    with db.reading() as session:
        latest = runs.get(session, taken[0].id)
        assert latest.slot == BACK - timedelta(minutes=2)
        skipped = runs_of(five, "Skipped")
        assert len(skipped) == 11
        assert {(run.state_type, run.ended, run.attempt) for run in skipped} == {("CANCELLED", BACK, 0)}
        assert "only the latest is caught up" in skipped[0].state_message
        assert [state.name for state in runs.states(session, skipped[0].id)][-1] == "Skipped"
        cancelled = select(Event).where(Event.event == "flow-run.cancelled")
        assert len(session.scalars(cancelled).all()) == 11
    assert NAMED["Skipped"] is S.CANCELLED


def test_pain_29_the_queue_was_paused(five: uuid.UUID) -> None:
    with db.transaction() as session:
        session.execute(text("UPDATE work_queue SET paused = true"))
    assert claim_all(BACK) == []
    loops.run("late", BACK - timedelta(minutes=30))
    with db.transaction() as session:
        session.execute(text("UPDATE work_queue SET paused = false"))
    assert len(claim_all(BACK)) == 1


def test_a_late_run_without_a_newer_one_stays(five: uuid.UUID) -> None:
    """The first slot is at minute 5, the second at 10."""
    just_before = NOW + timedelta(minutes=7, seconds=59)
    loops.run("late", just_before)
    assert [run.slot for run in runs_of(five, "Late")] == [NOW + timedelta(minutes=3)]
    loops.run("late", just_before + timedelta(seconds=1))
    assert [run.slot for run in runs_of(five, "Skipped")] == [NOW + timedelta(minutes=3)]


def test_what_somebody_asked_for_is_never_skipped(five: uuid.UUID) -> None:
    loops.run("late", BACK)
    with db.transaction() as session:
        again = runs.retry(session, runs_of(five, "Skipped")[0].id, ANN, BACK).id
    loops.run("late", BACK + timedelta(minutes=4))
    with db.reading() as session:
        assert runs.get(session, again).state_name == "Late"


def test_runs_started_by_hand_and_runs_that_were_held_stay(five: uuid.UUID) -> None:
    first = NOW + timedelta(minutes=3)
    with db.transaction() as session:
        agent = add_agent(session, at=first)
        job = claims.claim(session, agent.id, ["q"], now=first, issue_token=token)
        assert job is not None
        agents.goodbye(session, agent.id, first)
        deployment = add_deployment(session, name="by hand")
        by_hand = [add_run(session, deployment, NOW, due=NOW).id for _ in range(3)]
        runs.move(session, job.id, _queued_again(first), attempt=1, actor=ANN, now=first)
    taken = {job.id for job in claim_all(BACK)}
    assert {*by_hand, job.id} < taken
    assert len(taken) == 5


def _queued_again(at: datetime) -> State:
    return State(S.SCHEDULED, message="Queued again.", at=at)
