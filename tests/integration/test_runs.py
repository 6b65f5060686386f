"""Flow runs: created once, moved by the rules, cancelled, started again, listed, deleted."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from orchestrator.clock import now
from orchestrator.documents.records import Actor, State
from orchestrator.errors import Conflict, InvalidInput, NotFound, ParameterError, TransitionRefused
from orchestrator.ids import uuid7
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Event, FlowRun, FlowRunState, Schedule, TaskRun
from orchestrator.server.services.running import claims, runs
from orchestrator.server.services.running.run_filters import RunFilter, narrowed
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()


def claimed(**facts: Any) -> tuple[uuid.UUID, uuid.UUID]:
    """A run that an agent holds, PENDING: its id and the agent's."""
    with db.transaction() as session:
        run, agent = add_run(session, add_deployment(session, **facts), NOW), add_agent(session)
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
        return run.id, agent.id


def move(run_id: uuid.UUID, kind: StateType, attempt: int | None = 1, **more: Any) -> FlowRun:
    with db.transaction() as session:
        return runs.move(session, run_id, State(kind, at=NOW), attempt=attempt, actor=Actor("api-key"), now=NOW, **more)


def add_task(run_id: uuid.UUID, kind: StateType = S.RUNNING) -> uuid.UUID:
    with db.transaction() as session:
        task = TaskRun(
            id=uuid7(), flow_run_id=run_id, name="t", task_key="m.t", state_type=kind.value, state_name="x",
            state_at=NOW, tags=["a"],
        )  # fmt: skip
        session.add(task)
        return task.id


def test_a_run_is_created_with_its_first_state_and_event() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, tags=["a"], parameters={"n": 1})
        run = add_run(session, deployment, NOW, parameters={"m": 2}, tags=["b", "a"], priority=3)
    with db.reading() as session:
        row = runs.row(session, run.id)
        told = runs.describe(row)
        assert (told.parameters, told.tags, told.priority) == ({"n": 1, "m": 2}, ["a", "b"], 3)
        assert (told.flow.name, told.work_queue, told.state.name) == ("etl", "q", "Scheduled")
        assert told.deployment is not None
        assert told.deployment.name == "prod"
        assert told.created_by == ANN
        assert [state.type for state in runs.states(session, run.id)] == ["SCHEDULED"]
        event = session.scalars(select(Event).where(Event.event == "flow-run.scheduled")).one()
        assert event.resource["state.name"] == "Scheduled"
        assert {"resource.id": "orchestrator.tag.b", "resource.name": "b", "resource.role": "tag"} in event.related


def test_parameters_that_do_not_fit_make_no_run() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, parameter_schema={"properties": {"n": {"type": "integer"}}})
    with pytest.raises(ParameterError, match="parameter n: 'x' is not of type 'integer'"), db.transaction() as session:
        add_run(session, deployment, NOW, parameters={"n": "x"})
    with db.reading() as session:
        assert session.scalars(select(FlowRun)).all() == []


def test_twenty_calls_with_one_key_make_one_run() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)

    def create(_: int) -> tuple[uuid.UUID, bool]:
        with db.transaction() as session:
            return runs.create(session, deployment, actor=ANN, now=NOW, idempotency_key="k")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(20)))
    assert len({run_id for run_id, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1
    with db.reading() as session:
        assert len(session.scalars(select(FlowRunState)).all()) == 1


def test_a_slot_is_made_once() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        schedule = Schedule(deployment_id=deployment.id, slug="s", cron="* * * * *", parameters={})
        session.add(schedule)
        session.flush()
        first = runs.create(session, deployment, actor=ANN, now=NOW, schedule_id=schedule.id, slot=NOW)
        again = runs.create(session, deployment, actor=ANN, now=NOW, schedule_id=schedule.id, slot=NOW)
    assert (first[0], True) == first
    assert again == (first[0], False)


def test_the_life_of_a_run() -> None:
    run_id, _ = claimed()
    assert move(run_id, S.RUNNING).started == NOW
    ended = move(run_id, S.COMPLETED, result={"value": 7})
    assert (ended.ended, ended.lease_until, ended.result) == (NOW, None, {"value": 7})
    with db.reading() as session:
        types = [state.type for state in runs.states(session, run_id)]
        assert types == ["SCHEDULED", "PENDING", "RUNNING", "COMPLETED"]
        named = {event.event for event in session.scalars(select(Event))}
        assert {"flow-run.running", "flow-run.completed"} <= named


def test_a_report_of_an_old_attempt_changes_nothing() -> None:
    run_id, agent_id = claimed()
    move(run_id, S.CRASHED)
    with db.transaction() as session:
        runs.retry(session, run_id, ANN, NOW)
        claims.claim(session, agent_id, ["q"], now=NOW, issue_token=token)
    with pytest.raises(TransitionRefused) as caught:
        move(run_id, S.COMPLETED, attempt=1)
    assert (caught.value.code, caught.value.rule) == ("stale-attempt", "AbortOtherAttempt")
    with db.reading() as session:
        run = runs.get(session, run_id)
        assert (run.state_type, run.attempt) == ("PENDING", 2)


def test_an_end_is_heard_twice_and_written_once() -> None:
    run_id, _ = claimed()
    for _ in range(2):
        assert move(run_id, S.COMPLETED).state_type == "COMPLETED"
    with db.reading() as session:
        assert [state.type for state in runs.states(session, run_id)].count("COMPLETED") == 1


def test_many_ends_at_once_leave_one() -> None:
    run_id, _ = claimed()

    def end(kind: StateType) -> str:
        try:
            return move(run_id, kind).state_type
        except TransitionRefused as refused:
            return refused.code

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(end, [S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED] * 3))
    with db.reading() as session:
        kept = runs.get(session, run_id).state_type
    assert {answer for answer in found if answer != "terminal"} == {kept}
    assert found.count("terminal") == 9


@pytest.mark.parametrize("end", [S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED])
def test_nothing_below_an_ended_run_goes_on(end: StateType) -> None:
    run_id, _ = claimed()
    unfinished, finished = add_task(run_id), add_task(run_id, S.COMPLETED)
    with db.transaction() as session:
        parent = runs.get(session, run_id)
        subflow = FlowRun(
            flow_id=parent.flow_id, name="sub", state_type="RUNNING", state_name="Running", attempt=1, started=NOW,
            parent_flow_run_id=run_id,
        )  # fmt: skip
        session.add(subflow)
    below = add_task(subflow.id)
    move(run_id, end)
    with db.reading() as session:
        expected = "CRASHED" if end in (S.CRASHED, S.FAILED) else "CANCELLED"
        for task_id in (unfinished, below):
            assert session.get_one(TaskRun, task_id).state_type == expected
        assert session.get_one(TaskRun, finished).state_type == "COMPLETED"
        assert runs.get(session, subflow.id).state_type == expected
        assert session.scalars(select(Event).where(Event.event == f"task-run.{expected.lower()}")).all()


def test_a_waiting_run_is_cancelled_at_once() -> None:
    with db.transaction() as session:
        run = add_run(session, add_deployment(session), NOW)
        cancelled = runs.cancel(session, run.id, ANN, NOW)
        assert (cancelled.state_type, cancelled.state_message) == ("CANCELLED", "Cancelled by ann.")
        agent = add_agent(session)
        assert claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token) is None


def test_a_held_run_is_cancelled_when_its_agent_says_so() -> None:
    run_id, _ = claimed()
    for _ in range(2):  # asking twice changes nothing
        with db.transaction() as session:
            run = runs.cancel(session, run_id, ANN, NOW)
        assert (run.state_type, run.cancel_asked) == ("CANCELLING", NOW)
    assert run.lease_until is not None
    with pytest.raises(TransitionRefused, match="cannot become RUNNING"):
        move(run_id, S.RUNNING)
    assert move(run_id, S.CANCELLED).lease_until is None


def test_what_ended_cannot_be_cancelled() -> None:
    run_id, _ = claimed()
    move(run_id, S.COMPLETED)
    with pytest.raises(TransitionRefused, match="is COMPLETED already"), db.transaction() as session:
        runs.cancel(session, run_id, ANN, NOW)


def test_a_retry_keeps_the_id_and_raises_the_attempt() -> None:
    run_id, agent_id = claimed()
    move(run_id, S.FAILED)
    with db.transaction() as session:
        again = runs.retry(session, run_id, ANN, NOW + timedelta(seconds=5))
        assert (again.state_type, again.ended, again.agent_id, again.result) == ("SCHEDULED", None, None, None)
        job = claims.claim(session, agent_id, ["q"], now=NOW + timedelta(seconds=5), issue_token=token)
    assert job is not None
    assert (job.id, job.attempt) == (run_id, 2)


def test_a_run_that_waits_is_not_retried() -> None:
    with db.transaction() as session:
        run = add_run(session, add_deployment(session), NOW)
        with pytest.raises(Conflict, match="waits to be started already"):
            runs.retry(session, run.id, ANN, NOW)


def test_a_rerun_is_a_new_run_with_the_same_parameters() -> None:
    run_id, _ = claimed(parameters={"n": 1})
    with db.transaction() as session:
        made = runs.rerun(session, run_id, ANN, NOW)
        assert made != run_id
        assert runs.get(session, made).parameters == {"n": 1}


def test_agents_say_which_attempt_they_speak_for() -> None:
    run_id, _ = claimed()
    with pytest.raises(InvalidInput, match="attempt is missing"), db.transaction() as session:
        runs.move(session, run_id, State(S.RUNNING), actor=Actor("agent"), now=NOW)


def test_what_is_executed_cannot_be_deleted() -> None:
    run_id, _ = claimed()
    with pytest.raises(Conflict, match="cancel it first"), db.transaction() as session:
        runs.delete(session, run_id, ANN, NOW)
    add_task(run_id)
    move(run_id, S.FAILED)
    with db.transaction() as session:
        runs.delete(session, run_id, ANN, NOW)
    with db.reading() as session:
        assert session.scalars(select(TaskRun)).all() == []
        assert session.scalar(select(Event.resource_id).where(Event.event == "flow-run.deleted"))
        with pytest.raises(NotFound, match="there is no flow run"):
            runs.get(session, run_id)


def test_only_what_a_schedule_made_and_nobody_claimed_is_dropped() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        schedule = Schedule(deployment_id=deployment.id, slug="s", cron="* * * * *", parameters={})
        session.add(schedule)
        session.flush()
        made = [
            add_run(
                session,
                deployment,
                NOW,
                schedule_id=schedule.id,
                slot=NOW + timedelta(minutes=n),
                due=NOW - timedelta(minutes=9 - n),
            )
            for n in range(3)
        ]
        by_hand = add_run(session, deployment, NOW)
        agent = add_agent(session)
        job = claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
        assert job is not None
        assert runs.drop_scheduled(session, [schedule.id]) == 2
        assert runs.drop_scheduled(session, [schedule.id]) == 0
        kept = set(session.scalars(select(FlowRun.id)))
        assert kept == {made[0].id, by_hand.id}


def listed(limit: int = 200, **wanted: Any) -> list[str]:
    with db.reading() as session:
        return [row.run.name for row in runs.listing(session, RunFilter(**wanted), limit).items]


def test_lists_are_narrowed_by_every_filter() -> None:
    with db.transaction() as session:
        one = add_deployment(session)
        two = add_deployment(session, flow="report", name="daily", queue="p")
        a = add_run(session, one, NOW - timedelta(hours=2), name="alpha", tags=["x", "y"])
        b = add_run(session, two, NOW - timedelta(hours=1), name="beta_1", tags=["x"])
        add_run(session, one, NOW, name="gamma")
        runs.cancel(session, b.id, ANN, NOW)
    assert listed() == ["gamma", "beta_1", "alpha"]
    assert listed(state_types=[S.CANCELLED]) == ["beta_1"]
    assert listed(state_names=["Scheduled"]) == ["gamma", "alpha"]
    assert listed(flow_id=a.flow_id) == ["gamma", "alpha"]
    assert listed(deployment_id=two.id) == ["beta_1"]
    assert listed(work_queue="p") == ["beta_1"]
    assert listed(tags=["x"]) == ["beta_1", "alpha"]
    assert listed(tags=["x", "y"]) == ["alpha"]
    assert listed(name="A_1") == ["beta_1"]
    assert listed(name="%") == []
    assert listed(created_after=NOW - timedelta(minutes=90)) == ["gamma", "beta_1"]
    assert listed(created_before=NOW - timedelta(minutes=90)) == ["alpha"]
    assert listed(due_before=NOW) == ["beta_1", "alpha"]
    assert listed(parent_flow_run_id=a.id) == []
    assert listed(scheduled_only=True) == []


def test_pages_hold_every_run_once() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        made = [add_run(session, deployment, NOW + timedelta(seconds=n)).id for n in range(7)]
    found: list[uuid.UUID] = []
    cursor: str | None = None
    with db.reading() as session:
        while True:
            page = runs.listing(session, None, 3, cursor)
            found += [row.run.id for row in page.items]
            cursor = page.next
            if cursor is None:
                break
    assert found == made[::-1]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"state_types": [S.RUNNING]},
        {"flow_id": uuid.UUID(int=1)},
        {"deployment_id": uuid.UUID(int=1)},
        {"tags": ["x"]},
        {"parent_flow_run_id": uuid.UUID(int=1)},
        {"created_after": NOW},
    ],
    ids=lambda wanted: next(iter(wanted), "none"),
)
def test_lists_are_served_by_an_index(wanted: dict[str, Any]) -> None:
    plans: list[Sequence[str]] = []
    with db.transaction() as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        query = narrowed(runs.select_rows(), RunFilter(**wanted)).order_by(FlowRun.id.desc()).limit(51)
        compiled = query.compile(session.connection(), compile_kwargs={"literal_binds": True})
        plans.append(session.connection().exec_driver_sql(f"EXPLAIN {compiled}".replace("%", "%%")).scalars().all())
    assert not [line for line in plans[0] if "Seq Scan on flow_run" in line], plans[0]
    assert [line for line in plans[0] if "flow_run" in line and "Index" in line], plans[0]
