"""Suspended runs: out of everybody's reach until they are resumed, whatever else happens in that moment."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from orchestrator import serializers
from orchestrator.clock import now, to_text
from orchestrator.documents.records import Actor, Job, State
from orchestrator.errors import Conflict, InvalidInput, TransitionRefused
from orchestrator.ids import uuid7
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, Event, FlowRun, Schedule, TaskRun, WorkQueue
from orchestrator.server.schemas.reports import read_batches
from orchestrator.server.services import ticks
from orchestrator.server.services.deploying import deployments
from orchestrator.server.services.internal import FLOW_ID
from orchestrator.server.services.running import agents, catch_up, claims, reports, runs, waiting
from orchestrator.states import StateType
from tests.polling import until
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()
HOUR = timedelta(hours=1)


def deployed(session: Session) -> Deployment:
    return session.scalar(select(Deployment)) or add_deployment(session)


def waiting_run(**facts: Any) -> uuid.UUID:
    with db.transaction() as session:
        return add_run(session, deployed(session), NOW, **facts).id


def held(running: bool = True) -> tuple[uuid.UUID, uuid.UUID]:
    """A run that an agent holds: its id and the agent's."""
    with db.transaction() as session:
        run, agent = add_run(session, deployed(session), NOW, priority=9), add_agent(session, at=NOW)
        claims.claim(session, agent.id, ["q"], now=NOW, issue_token=token)
    if running:
        move(run.id, S.RUNNING)
    return run.id, agent.id


def move(run_id: uuid.UUID, kind: StateType, attempt: int | None = 1, at: datetime = NOW) -> FlowRun:
    with db.transaction() as session:
        return runs.move(session, run_id, State(kind, at=at), attempt=attempt, actor=Actor("agent"), now=at)


def suspend(run_id: uuid.UUID, deadline: datetime | None = None, at: datetime = NOW) -> FlowRun:
    with db.transaction() as session:
        return runs.suspend(session, run_id, ANN, at, deadline)


def suspended(deadline: datetime | None = None) -> tuple[uuid.UUID, uuid.UUID]:
    """A run whose process was stopped for it to be suspended: its id and its agent's."""
    run_id, agent_id = held()
    suspend(run_id, deadline)
    assert move(run_id, S.CANCELLED).state_name == "Suspended"
    return run_id, agent_id


def resume(run_id: uuid.UUID, at: datetime = NOW) -> FlowRun:
    with db.transaction() as session:
        return runs.resume(session, run_id, ANN, at)


def claim(agent_id: uuid.UUID | None = None, at: datetime = NOW) -> Job | None:
    with db.transaction() as session:
        agent_id = agent_id or add_agent(session, at=at).id
        return claims.claim(session, agent_id, ["q"], now=at, issue_token=token)


def look(run_id: uuid.UUID) -> FlowRun:
    with db.reading() as session:
        return runs.get(session, run_id)


def named(run_id: uuid.UUID) -> list[str]:
    with db.reading() as session:
        return [state.name for state in runs.states(session, run_id)]


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(TransitionRefused) as caught:
        call()
    return caught.value.code


def sweep(at: datetime) -> int:
    with db.transaction() as session:
        ticks.record(session, ticks.API, at)
        ticks.record(session, ticks.API_SINCE, NOW - HOUR)
    return loops.run("leases", at)


class TestARunThatWaits:
    def test_is_suspended_at_once_and_left_alone(self) -> None:
        run_id = waiting_run()
        run = suspend(run_id)
        assert (run.state_type, run.state_name, run.state_message) == ("PAUSED", "Suspended", "Suspended by ann.")
        assert claim() is None
        assert loops.run("late", NOW + HOUR) == 0
        assert loops.run("dispatch", NOW + HOUR) == 0
        assert sweep(NOW + 1000 * HOUR) == 0
        assert look(run_id).state_name == "Suspended"
        with db.reading() as session:
            event = session.scalars(select(Event).where(Event.event == "flow-run.paused")).one()
            assert (event.kind, event.payload["by"]["name"]) == ("action", "ann")
            reason = waiting.why(session, run_id, NOW)
            assert reason is not None
            assert (reason.code, reason.message) == ("suspended", "It waits until it is resumed.")

    def test_asking_twice_changes_nothing(self) -> None:
        run_id = waiting_run()
        suspend(run_id, NOW + HOUR)
        assert suspend(run_id, at=NOW + HOUR / 2).state_at == NOW
        assert suspend(run_id, NOW + HOUR).suspended_until == NOW + HOUR
        with pytest.raises(Conflict, match="is Suspended already"):
            suspend(run_id, NOW + 2 * HOUR)
        assert named(run_id) == ["Scheduled", "Suspended"]

    def test_is_due_at_once_when_it_is_resumed(self) -> None:
        run_id = waiting_run()
        suspend(run_id)
        run = resume(run_id, NOW + HOUR)
        assert (run.state_type, run.state_name, run.due) == ("SCHEDULED", "Scheduled", NOW + HOUR)
        assert run.state_message == "Resumed by ann."
        job = claim(at=NOW + HOUR)
        assert job is not None
        assert job.attempt == 1

    def test_keeps_a_due_time_that_lies_ahead(self) -> None:
        run_id = waiting_run(due=NOW + 3 * HOUR)
        suspend(run_id)
        assert resume(run_id, NOW + HOUR).due == NOW + 3 * HOUR
        assert claim(at=NOW + HOUR) is None

    def test_of_a_schedule_is_not_caught_up_nor_dropped_nor_made_again(self) -> None:
        with db.transaction() as session:
            deployment = add_deployment(session)
            schedule = Schedule(deployment_id=deployment.id, slug="s", cron="* * * * *", parameters={})
            session.add(schedule)
            session.flush()
            slots = [NOW - 2 * HOUR, NOW - HOUR]
            old, _ = (
                runs.create(session, deployment, actor=ANN, now=NOW, due=at, schedule_id=schedule.id, slot=at)[0]
                for at in slots
            )
            runs.suspend(session, old, ANN, NOW)
            assert catch_up.skip(session, NOW, 100) == 0
            assert runs.drop_scheduled(session, [schedule.id]) == 1
            again = runs.create(session, deployment, actor=ANN, now=NOW, schedule_id=schedule.id, slot=slots[0])
            assert again == (old, False)
            runs.create(session, deployment, actor=ANN, now=NOW, due=slots[1], schedule_id=schedule.id, slot=slots[1])
            runs.resume(session, old, ANN, NOW)
            # Resumed, it is wanted now, whatever slots came after its own.
            assert catch_up.skip(session, NOW, 100) == 0

    @pytest.mark.parametrize("verb", [runs.cancel, runs.delete])
    def test_may_be_cancelled_and_deleted(self, verb: Callable[..., Any]) -> None:
        run_id = waiting_run()
        suspend(run_id)
        with db.transaction() as session:
            verb(session, run_id, ANN, NOW)
            run = session.get(FlowRun, run_id)
        assert run is None or (run.state_type, run.ended) == ("CANCELLED", NOW)

    def test_goes_with_its_deployment(self) -> None:
        run_id = waiting_run()
        suspend(run_id)
        with db.transaction() as session:
            deployments.delete(session, "etl/prod", ANN, NOW)
        assert look(run_id).state_type == "CANCELLED"


class TestARunThatIsExecuted:
    @pytest.mark.parametrize("running", [True, False])
    def test_keeps_slot_and_lease_until_its_process_is_gone(self, running: bool) -> None:
        run_id, agent_id = held(running)
        with db.transaction() as session:
            session.execute(update(WorkQueue).values(concurrency_limit=1))
            other = add_run(session, deployed(session), NOW)
        run = suspend(run_id)
        assert (run.state_type, run.state_name, run.cancel_asked) == ("CANCELLING", "Suspending", NOW)
        assert run.lease_until is not None
        assert claim(agent_id) is None
        with db.transaction() as session:
            assert agents.heartbeat(session, agent_id, [(run_id, 1)], NOW).cancel == [(run_id, 1)]
        run = move(run_id, S.CANCELLED)
        assert (run.state_type, run.state_name, run.state_message) == ("PAUSED", "Suspended", "Suspended by ann.")
        assert (run.lease_until, run.cancel_asked, run.ended) == (None, None, None)
        job = claim(agent_id)
        assert job is not None
        assert job.id == other.id
        with db.transaction() as session:
            assert agents.heartbeat(session, agent_id, [(run_id, 1)], NOW).lost == [(run_id, 1)]

    def test_begins_a_new_attempt_when_it_is_resumed(self) -> None:
        run_id, agent_id = suspended()
        run = resume(run_id)
        assert (run.started, run.agent_id, run.attempt) == (None, None, 1)
        job = claim(agent_id)
        assert job is not None
        assert (job.id, job.attempt) == (run_id, 2)
        assert move(run_id, S.RUNNING, 2).state_type == "RUNNING"
        assert move(run_id, S.COMPLETED, 2).state_type == "COMPLETED"
        expected = ["Scheduled", "Pending", "Running", "Suspending", "Suspended", "Scheduled", "Pending", "Running"]
        assert named(run_id) == [*expected, "Completed"]

    def test_takes_its_tasks_and_subflows_with_it(self) -> None:
        run_id, _ = held()
        with db.transaction() as session:
            parent = runs.get(session, run_id)
            subflow = FlowRun(
                flow_id=parent.flow_id, name="sub", state_type="RUNNING", state_name="Running", attempt=1, started=NOW,
                parent_flow_run_id=run_id,
            )  # fmt: skip
            session.add(subflow)
            tasks = [_task(run_id), _task(run_id, S.COMPLETED)]
            session.add_all(tasks)
        suspend(run_id)
        assert look(subflow.id).state_type == "RUNNING"
        move(run_id, S.CANCELLED)
        assert look(subflow.id).state_type == "CANCELLED"
        with db.reading() as session:
            assert [session.get_one(TaskRun, task.id).state_type for task in tasks] == ["CANCELLED", "COMPLETED"]

    def test_is_not_heard_any_more(self) -> None:
        run_id, agent_id = suspended()
        for kind in (S.COMPLETED, S.FAILED, S.CRASHED, S.CANCELLED, S.RUNNING, S.SCHEDULED):
            assert refused(lambda kind=kind: move(run_id, kind)) == "suspended"  # type: ignore[misc]
        task = {"kind": "task-run", "id": uuid7(), "flow_run_id": run_id, "name": "t", "task_key": "m.t",
                "flow_attempt": 1, "attempt": 1, "state": {"type": "RUNNING", "name": "Running", "at": to_text(NOW)},
                "tags": [], "upstream": [], "parent_id": None}  # fmt: skip
        body = serializers.dumps({"batches": [{"producer": uuid.uuid4(), "first": 1, "items": [task]}]})
        with db.transaction() as session:
            assert reports.ingest(session, read_batches(body), NOW).refused == []
            assert session.get_one(TaskRun, task["id"]).state_type == "CANCELLED"
        resume(run_id)
        for kind in (S.CANCELLED, S.CRASHED, S.FAILED):
            assert refused(lambda kind=kind: move(run_id, kind)) == "only-by-claim"  # type: ignore[misc]
        claim(agent_id)
        assert refused(lambda: move(run_id, S.CANCELLED)) == "stale-attempt"

    def test_that_completes_in_that_moment_has_completed(self) -> None:
        run_id, _ = held()
        suspend(run_id)
        assert move(run_id, S.COMPLETED).state_type == "COMPLETED"
        assert refused(lambda: suspend(run_id)) == "terminal"

    def test_may_still_be_cancelled(self) -> None:
        run_id, _ = held()
        suspend(run_id, NOW + HOUR)
        with db.transaction() as session:
            run = runs.cancel(session, run_id, ANN, NOW)
        assert (run.state_type, run.state_name, run.suspended_until) == ("CANCELLING", "Cancelling", None)
        assert refused(lambda: suspend(run_id)) == "cancel-asked"
        assert move(run_id, S.CANCELLED).state_type == "CANCELLED"

    def test_whose_agent_dies_is_suspended_when_its_lease_lapses(self) -> None:
        run_id, _ = held()
        suspend(run_id)
        assert sweep(NOW + timedelta(seconds=20)) == 0
        assert sweep(NOW + timedelta(minutes=2)) == 1
        run = look(run_id)
        assert (run.state_type, run.state_name, run.lease_until) == ("PAUSED", "Suspended", None)
        assert "is silent" in run.state_message
        assert resume(run_id).state_type == "SCHEDULED"

    def test_whose_agent_never_answers_is_suspended_nevertheless(self) -> None:
        run_id, agent_id = held()
        suspend(run_id)
        late = NOW + timedelta(minutes=5)
        with db.transaction() as session:
            agents.heartbeat(session, agent_id, [(run_id, 1)], late)
        assert sweep(late) == 1
        assert look(run_id).state_name == "Suspended"
        assert "nobody confirmed" in look(run_id).state_message


class TestATimeOut:
    def test_fails_what_nobody_resumed(self) -> None:
        run_id, _ = suspended(NOW + HOUR)
        with db.reading() as session:
            reason = waiting.why(session, run_id, NOW)
            assert reason is not None
            assert reason.message == f"It waits until it is resumed, and fails at {to_text(NOW + HOUR)} if it is not."
            assert [state.details for state in runs.states(session, run_id) if state.name == "Suspending"] == [
                {"until": to_text(NOW + HOUR), "by": ANN.write()}
            ]
        assert sweep(NOW + HOUR - timedelta(seconds=1)) == 0
        assert sweep(NOW + HOUR) == 1
        run = look(run_id)
        assert (run.state_type, run.state_name, run.suspended_until) == ("FAILED", "SuspensionTimedOut", None)
        assert run.state_message == f"Nobody resumed it by {to_text(NOW + HOUR)}."
        assert sweep(NOW + 2 * HOUR) == 0
        with db.transaction() as session:
            assert runs.retry(session, run_id, ANN, NOW + 2 * HOUR).state_type == "SCHEDULED"

    def test_is_forgotten_with_the_resume(self) -> None:
        run_id, _ = suspended(NOW + HOUR)
        assert resume(run_id).suspended_until is None
        assert sweep(NOW + 2 * HOUR) == 0
        suspend(run_id)
        assert sweep(NOW + 2 * HOUR) == 0

    def test_lies_ahead(self) -> None:
        with pytest.raises(InvalidInput, match="until"):
            suspend(waiting_run(), NOW)


class TestRefusals:
    def test_what_no_agent_could_take_up_again(self) -> None:
        orphan, _ = held()
        by_hand, errand = waiting_run(), waiting_run()
        with db.transaction() as session:
            session.get_one(FlowRun, by_hand).work_queue_id = None
            session.get_one(FlowRun, errand).flow_id = FLOW_ID
            session.get_one(FlowRun, orphan).deployment_id = None
        for run_id in (by_hand, errand, orphan):
            before = look(run_id).state_type
            assert refused(lambda run_id=run_id: suspend(run_id)) == "not-deployed"  # type: ignore[misc]
            assert look(run_id).state_type == before

    def test_what_is_not_suspended_is_not_resumed(self) -> None:
        waits, (runs_on, _) = waiting_run(), held()
        suspend(waits)
        resume(waits)
        assert refused(lambda: resume(waits)) == "not-suspended"
        assert refused(lambda: resume(runs_on)) == "not-suspended"
        suspend(runs_on)
        assert refused(lambda: resume(runs_on)) == "suspending"

    def test_what_has_not_ended_is_not_retried(self) -> None:
        run_id, _ = held()
        for _ in range(2):
            with db.transaction() as session:
                assert refused(lambda: runs.retry(session, run_id, ANN, NOW)) == "not-ended"
            suspend(run_id)
            if look(run_id).state_name == "Suspending":
                move(run_id, S.CANCELLED)

    def test_a_suspended_run_whose_deployment_is_gone(self) -> None:
        run_id, _ = held()
        suspend(run_id)
        with db.transaction() as session:
            deployments.delete(session, "etl/prod", ANN, NOW)
        assert move(run_id, S.CANCELLED).state_name == "Suspended"
        assert refused(lambda: resume(run_id)) == "not-deployed"
        with db.transaction() as session:
            assert runs.cancel(session, run_id, ANN, NOW).state_type == "CANCELLED"


class TestTwoAtOnce:
    """Two sessions; the second waits for the first, which holds the run."""

    def race(self, first: Callable[[Any], Any], second: Callable[[], Any]) -> Any:
        """Begin ``second`` while ``first`` is done and not yet committed; what came of the second."""
        began = threading.Event()

        def other() -> Any:
            began.set()
            try:
                return second()
            except (TransitionRefused, Conflict) as error:
                return getattr(error, "code", "") or str(error)

        with ThreadPoolExecutor(1) as pool:
            with db.transaction() as session:
                first(session)
                answer = pool.submit(other)
                began.wait(10)
                _until_blocked()
            return answer.result(30)

    def test_a_suspension_before_a_completion(self) -> None:
        run_id, _ = held()
        after = self.race(lambda session: runs.suspend(session, run_id, ANN, NOW), lambda: move(run_id, S.COMPLETED))
        assert after.state_type == "COMPLETED"
        assert named(run_id)[-2:] == ["Suspending", "Completed"]

    def test_a_completion_before_a_suspension(self) -> None:
        run_id, _ = held()
        end = State(S.COMPLETED, at=NOW)
        code = self.race(
            lambda session: runs.move(session, run_id, end, attempt=1, actor=Actor("agent"), now=NOW),
            lambda: suspend(run_id),
        )
        assert code == "terminal"
        assert look(run_id).state_type == "COMPLETED"

    def test_a_claim_before_a_suspension(self) -> None:
        run_id = waiting_run()
        with db.transaction() as session:
            agent_id = add_agent(session).id
        run = self.race(
            lambda session: claims.claim(session, agent_id, ["q"], now=NOW, issue_token=token),
            lambda: suspend(run_id),
        )
        assert (run.state_type, run.state_name, run.attempt) == ("CANCELLING", "Suspending", 1)

    def test_two_resumes(self) -> None:
        run_id, _ = suspended()
        code = self.race(lambda session: runs.resume(session, run_id, ANN, NOW), lambda: resume(run_id))
        assert code == "not-suspended"
        assert named(run_id).count("Scheduled") == 2

    def test_a_resume_and_the_time_out(self) -> None:
        run_id, _ = suspended(NOW + HOUR)
        with db.transaction() as session:
            runs.resume(session, run_id, ANN, NOW)
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(sweep, NOW + 2 * HOUR).result(30) == 0
        assert look(run_id).state_type == "SCHEDULED"

    def test_a_suspension_among_many_claims(self) -> None:
        """Whoever is first: the run is with one agent and being stopped, or with none and suspended."""
        with db.transaction() as session:
            deployment, agent_id = add_deployment(session), add_agent(session).id
            waits = [add_run(session, deployment, NOW).id for _ in range(20)]

        def take(_: int) -> uuid.UUID | None:
            job = claim(agent_id)
            return job.id if job else None

        with ThreadPoolExecutor(8) as pool:
            taken, stopped = pool.map(take, range(20)), pool.map(suspend, waits)
            claimed, found = set(taken) - {None}, list(stopped)
        for run in found:
            expected = ("CANCELLING", 1) if run.id in claimed else ("PAUSED", 0)
            assert (look(run.id).state_type, look(run.id).attempt) == expected


def _until_blocked() -> None:
    """Wait until another session waits for a lock of ours."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until(lambda: _scalar(query) > 0, "a session to wait for a lock")


def _scalar(query: str) -> int:
    with db.reading() as session:
        return int(session.scalar(text(query)) or 0)


def _task(run_id: uuid.UUID, kind: StateType = S.RUNNING) -> TaskRun:
    return TaskRun(
        id=uuid7(), flow_run_id=run_id, name="t", task_key="m.t", state_type=kind.value, state_name="x", state_at=NOW,
        tags=[],
    )  # fmt: skip
