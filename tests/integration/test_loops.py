"""What the server does by the clock: steps with a clock handed in, on a real Postgres and a real Redis."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import func, select, text, update

from orchestrator import clock
from orchestrator.clock import now, to_text
from orchestrator.documents.records import State
from orchestrator.ids import uuid7
from orchestrator.server import config, hints, loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Agent, Deployment, Event, FlowRun, Producer, Schedule, TaskRun, WorkQueue
from orchestrator.server.services import ticks
from orchestrator.server.services.deploying import deployments, schedules
from orchestrator.server.services.recording import event_cursor, events
from orchestrator.server.services.recording.events import EventRecord
from orchestrator.server.services.running import agents, claims, runs
from orchestrator.settings import Settings
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now()


@pytest.fixture
def queue(redis_url: str) -> Iterator[str]:
    """Name of a work queue whose Redis list is empty."""
    name = f"q-{uuid.uuid4().hex[:8]}"
    hints.configure(redis_url)
    yield name
    hints.configure(None)
    redis.Redis.from_url(redis_url).delete(hints.run_list(name))


def in_list(redis_url: str, queue: str) -> int:
    assert hints.flush(10)
    return int(redis.Redis.from_url(redis_url).llen(hints.run_list(queue)))  # type: ignore[arg-type]


def add_schedule(**facts: Any) -> uuid.UUID:
    with db.transaction() as session:
        deployment = session.scalar(select(Deployment)) or add_deployment(session, parameters={"n": 1})
        schedule = Schedule(deployment_id=deployment.id, slug=facts.pop("slug", "s"), parameters={"m": 2}, **facts)
        session.add(schedule)
        session.flush()
        return schedule.id


def slots(schedule_id: uuid.UUID) -> list[datetime]:
    with db.reading() as session:
        query = select(FlowRun.slot).where(FlowRun.schedule_id == schedule_id).order_by(FlowRun.slot)
        return [slot for slot in session.scalars(query) if slot]


def held(kind: StateType = S.RUNNING, at: datetime = NOW) -> tuple[uuid.UUID, uuid.UUID]:
    """A run that a new agent holds since ``at``, and the agent."""
    with db.transaction() as session:
        deployment = session.scalar(select(Deployment)) or add_deployment(session)
        run, agent = add_run(session, deployment, at), add_agent(session, at=at)
        claims.claim(session, agent.id, ["q"], now=at, issue_token=token)
        if kind is S.RUNNING:
            runs.move(session, run.id, State(S.RUNNING, at=at), attempt=1, actor=ANN, now=at)
        return run.id, agent.id


def api_up(since: datetime, until: datetime) -> None:
    """The API is up, unbroken."""
    at = since
    while at <= until:
        with db.transaction() as session:
            ticks.api_alive(session, at)
        at += timedelta(seconds=10)


def get(run_id: uuid.UUID) -> FlowRun:
    with db.reading() as session:
        return runs.get(session, run_id)


def test_every_loop_goes_round_and_is_noted() -> None:
    for name in loops.LOOPS:
        loops.run(name, NOW)
    with db.reading() as session:
        found = ticks.ages(session, NOW + timedelta(seconds=7))
    assert set(found) == set(loops.LOOPS)
    assert {age.error for age in found.values()} == {None}
    assert {age.age_s for age in found.values()} == {7.0}


def test_rounds_without_work_are_noted_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    def noted_at() -> datetime:
        with db.reading() as session:
            return NOW - timedelta(seconds=ticks.ages(session, NOW)["late"].age_s)

    def run_after(seconds: float) -> datetime:
        loops.run("late", NOW + timedelta(seconds=seconds), timedelta(seconds=6))
        return noted_at()

    monkeypatch.setattr(loops, "_noted", {})
    first = run_after(0)
    assert run_after(5) == first
    assert run_after(7) - first == timedelta(seconds=7)
    monkeypatch.setattr(loops.late, "step", lambda *_: 1)
    assert run_after(8) - first == timedelta(seconds=8), "work is noted"
    monkeypatch.setattr(loops.late, "step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_after(9)
    assert noted_at() - first == timedelta(seconds=9), "and so is what fails"
    monkeypatch.setattr(loops.late, "step", lambda *_: 0)
    assert run_after(10) - first == timedelta(seconds=10), "and that it is over"


def test_a_reader_that_nobody_needs_writes_only_when_there_was_something() -> None:
    def place() -> tuple[str, datetime]:
        with db.transaction() as session:
            event_cursor.skip(session, "probe", now())
        with db.reading() as session:
            row = session.execute(text("SELECT xid::text, at FROM event_cursor WHERE reader = 'probe'")).one()
            return row[0], row[1]

    first = place()
    assert place() == first
    with db.transaction() as session:
        events.record(session, [EventRecord("agent.started", {"resource.id": "orchestrator.agent.1"})], now())
    moved = place()
    assert moved[0] != first[0]
    assert moved[1] > first[1]
    assert place() == moved


def test_connections_that_were_not_needed_at_once_are_closed() -> None:
    def opened() -> int:
        return db.engine().pool.checkedin()  # type: ignore[attr-defined, no-any-return]

    def use(number: int) -> None:
        with ExitStack() as leaving:
            for _ in range(number):
                leaving.enter_context(db.reading()).execute(text("SELECT 1"))

    use(4)
    db.close_idle()
    assert opened() == 4, "they were all in use a moment ago"
    use(2)
    db.close_idle()
    assert opened() == 0
    use(2)
    db.close_idle()
    assert opened() == 2, "no more are open than were needed"
    with db.reading() as session:
        db.close_idle()
        assert session.scalar(text("SELECT 1")) == 1, "what is in use is left alone"
    use(3)
    assert opened() == 3, "more are opened when they are needed"


def test_a_loop_that_fails_says_so_and_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise ValueError("no good")

    monkeypatch.setattr(loops.late, "step", fail)
    with pytest.raises(ValueError, match="no good"):
        loops.run("late", NOW)
    with db.reading() as session:
        assert ticks.ages(session, NOW)["late"].error == "ValueError: no good"


def test_schedules_make_runs_ahead() -> None:
    minutely, daily = add_schedule(cron="* * * * *"), add_schedule(slug="d", cron="0 3 * * *")
    loops.run("schedule", NOW)
    assert len(slots(minutely)) == 75
    assert len(slots(daily)) == 3
    with db.reading() as session:
        run = session.scalars(select(FlowRun).where(FlowRun.schedule_id == daily).limit(1)).one()
        assert (run.parameters, run.due, run.state_type) == ({"n": 1, "m": 2}, run.slot, "SCHEDULED")
        assert run.created_by == {"type": "schedule", "id": str(daily), "name": "d"}
        assert len(runs.states(session, run.id)) == 1
    assert loops.run("schedule", NOW) == 0


def test_runs_are_made_on_as_time_goes_by() -> None:
    daily = add_schedule(interval_s=86400.0, anchor=NOW.replace(microsecond=0))
    for day in range(4):
        loops.run("schedule", NOW + timedelta(days=day, seconds=1))
    made = slots(daily)
    assert [slot - made[0] for slot in made] == [timedelta(days=day) for day in range(6)]


def test_several_runners_at_once_make_each_slot_once() -> None:
    for place in range(20):
        add_schedule(slug=f"s{place}", cron="* * * * *")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda turn: loops.run("schedule", NOW + timedelta(seconds=turn)), range(12)))
    with db.reading() as session:
        found = Counter(map(tuple, session.execute(select(FlowRun.schedule_id, FlowRun.slot))))
    assert set(found.values()) == {1}
    assert len(found) == 20 * 75


def test_after_an_outage_the_latest_missed_slot_runs_alone() -> None:
    five = add_schedule(cron="*/5 * * * *")
    with db.transaction() as session:
        session.execute(update(Schedule).values(materialised_to=NOW - timedelta(hours=1)))
    loops.run("schedule", NOW)
    assert len([slot for slot in slots(five) if slot <= NOW]) == 1


def test_a_new_schedule_loses_no_slot_that_passes_before_the_loop_comes() -> None:
    with db.transaction() as session:
        deployment = add_deployment(session)
        anchor = NOW + timedelta(seconds=3)
        made = schedules.create(session, deployment, {"interval": 86400, "anchor": clock.to_text(anchor)}, ANN, NOW)
    loops.run("schedule", NOW + timedelta(seconds=5))
    assert slots(made.id)[0] == anchor


@pytest.mark.parametrize("change", ["UPDATE schedule SET active = false", "UPDATE deployment SET paused = true"])
def test_what_is_switched_off_makes_none(change: str) -> None:
    quiet = add_schedule(cron="* * * * *")
    with db.transaction() as session:
        session.execute(text(change))
    loops.run("schedule", NOW)
    assert slots(quiet) == []


def test_slots_that_come_due_during_a_pause_are_never_run() -> None:
    paused = add_schedule(cron="* * * * *")
    loops.run("schedule", NOW)
    first, second, third, fourth = slots(paused)[:4]
    with db.transaction() as session:
        name = session.scalars(select(Deployment.id)).one()
        deployments.pause(session, name, ANN, second + timedelta(milliseconds=1))
    # What was due before waits; it is claimed by nobody until the deployment is resumed.
    assert slots(paused) == [first, second]
    loops.run("schedule", third + timedelta(seconds=1))
    assert slots(paused) == [first, second]
    with db.transaction() as session:
        deployments.resume(session, name, ANN, third + timedelta(seconds=2))
    loops.run("schedule", third + timedelta(seconds=3))
    assert slots(paused)[:3] == [first, second, fourth]


def test_a_schedule_that_cannot_be_read_stops_no_other() -> None:
    bad, good = add_schedule(cron="every day"), add_schedule(slug="g", cron="* * * * *")
    loops.run("schedule", NOW)
    assert slots(bad) == []
    assert slots(good)


def test_a_due_run_is_hinted_a_moment_before(queue: str, redis_url: str) -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, queue=queue)
        add_run(session, deployment, NOW, due=NOW + timedelta(seconds=10))
    assert loops.run("dispatch", NOW + timedelta(seconds=7)) == 0
    assert loops.run("dispatch", NOW + timedelta(seconds=8)) == 1
    assert in_list(redis_url, queue) == 1


def test_what_was_just_created_is_hinted_after_the_commit_and_not_twice(queue: str, redis_url: str) -> None:
    with db.transaction() as session:
        add_run(session, add_deployment(session, queue=queue), NOW)
        assert in_list(redis_url, queue) == 0
    assert in_list(redis_url, queue) == 1
    assert loops.run("dispatch", NOW) == 0


def test_hints_that_were_lost_are_given_again_after_5_then_10_seconds(queue: str, redis_url: str) -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, queue=queue)
        for _ in range(100):
            add_run(session, deployment, NOW)
    assert in_list(redis_url, queue) == 100
    for seconds, given in ((4, 0), (5, 100), (14, 0), (15, 100)):
        redis.Redis.from_url(redis_url).delete(hints.run_list(queue))
        assert loops.run("dispatch", NOW + timedelta(seconds=seconds)) == given
        assert in_list(redis_url, queue) == given


def test_a_list_never_grows_longer_than_what_can_be_claimed(queue: str, redis_url: str) -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, queue=queue)
        for _ in range(5):
            add_run(session, deployment, NOW)
    for minutes in range(1, 5):
        assert in_list(redis_url, queue) == 5
        loops.run("dispatch", NOW + timedelta(minutes=minutes))
    assert in_list(redis_url, queue) == 5


def test_nothing_is_hinted_for_what_cannot_be_claimed(queue: str, redis_url: str) -> None:
    with db.transaction() as session:
        deployment = add_deployment(session, queue=queue)
        add_run(session, deployment, NOW, due=NOW + timedelta(seconds=60))
        session.execute(update(WorkQueue).values(paused=True))
    assert loops.run("dispatch", NOW + timedelta(seconds=60)) == 0
    assert in_list(redis_url, queue) == 0


def test_a_freed_slot_of_a_full_queue_is_told(queue: str, redis_url: str) -> None:
    with db.transaction() as session:
        deployment, agent = add_deployment(session, queue=queue), add_agent(session, [queue])
        session.execute(update(WorkQueue).values(concurrency_limit=1))
        add_run(session, deployment, NOW)
        add_run(session, deployment, NOW)
        job = claims.claim(session, agent.id, [queue], now=NOW, issue_token=token)
        assert job is not None
    assert in_list(redis_url, queue) == 2
    redis.Redis.from_url(redis_url).delete(hints.run_list(queue))
    with db.transaction() as session:
        runs.move(session, job.id, State(S.FAILED), attempt=1, actor=ANN, now=NOW)
    assert in_list(redis_url, queue) == 1


def test_what_a_silent_agent_ran_is_crashed_with_the_reason() -> None:
    run_id, _ = held()
    with db.transaction() as session:
        session.add(TaskRun(id=uuid7(), flow_run_id=run_id, name="t", task_key="t", state_type="RUNNING",
                            state_name="Running", state_at=NOW))  # fmt: skip
    api_up(NOW, NOW + timedelta(seconds=40))
    assert loops.run("leases", NOW + timedelta(seconds=29)) == 0
    assert loops.run("leases", NOW + timedelta(seconds=35)) == 1
    run = get(run_id)
    assert (run.state_type, run.lease_until) == ("CRASHED", None)
    told = f"Agent agent-1 is silent: its last heartbeat was at {to_text(NOW)}, the run's lease lapsed at "
    assert run.state_message == told + to_text(NOW + timedelta(seconds=30)) + "."
    with db.reading() as session:
        assert session.scalars(select(TaskRun.state_type)).all() == ["CRASHED"]
        assert session.scalar(select(Event.id).where(Event.event == "flow-run.crashed"))


def test_a_run_that_never_began_is_queued_again_a_few_times() -> None:
    run_id, agent_id = held(S.PENDING)
    at = NOW
    for attempt in range(1, 6):
        api_up(at, at + timedelta(seconds=40))
        assert loops.run("leases", at + timedelta(seconds=40)) == 1
        expected = "SCHEDULED" if attempt < 5 else "CRASHED"
        assert (get(run_id).state_type, get(run_id).attempt) == (expected, attempt)
        at += timedelta(seconds=40)
        with db.transaction() as session:
            claims.claim(session, agent_id, ["q"], now=at, issue_token=token)


def test_leases_that_lapsed_while_the_api_was_away_do_not_count() -> None:
    run_id, agent_id = held()
    api_up(NOW, NOW + timedelta(seconds=10))
    away = NOW + timedelta(minutes=10)
    assert loops.run("leases", away) == 0
    api_up(away, away + timedelta(seconds=20))
    assert loops.run("leases", away + timedelta(seconds=20)) == 0
    with db.transaction() as session:
        beat = agents.heartbeat(session, agent_id, [(run_id, 1)], away + timedelta(seconds=25))
    assert (beat.lost, beat.cancel, beat.known) == ([], [], True)
    api_up(away + timedelta(seconds=30), away + timedelta(seconds=50))
    assert loops.run("leases", away + timedelta(seconds=40)) == 0
    assert get(run_id).state_type == "RUNNING"


def test_a_slot_is_free_again_when_its_holder_died() -> None:
    held()
    with db.transaction() as session:
        session.execute(update(WorkQueue).values(concurrency_limit=1))
        waiting = add_run(session, session.scalars(select(Deployment)).one(), NOW)
        other = add_agent(session)
    api_up(NOW, NOW + timedelta(seconds=40))
    loops.run("leases", NOW + timedelta(seconds=40))
    with db.transaction() as session:
        job = claims.claim(session, other.id, ["q"], now=NOW + timedelta(seconds=40), issue_token=token)
    assert job is not None
    assert job.id == waiting.id


def test_what_an_agent_left_behind_when_it_stopped_is_settled_at_once() -> None:
    run_id, agent_id = held()
    api_up(NOW - timedelta(seconds=60), NOW + timedelta(seconds=5))
    with db.transaction() as session:
        agents.goodbye(session, agent_id, NOW)
    assert loops.run("leases", NOW + timedelta(seconds=1)) == 1
    assert "left the run behind" in get(run_id).state_message


def test_a_cancel_that_nobody_answers_ends() -> None:
    run_id, _ = held()
    with db.transaction() as session:
        runs.cancel(session, run_id, ANN, NOW)
    # A minute, and one for the hooks that its agent may still have called.
    loops.run("leases", NOW + timedelta(seconds=119))
    assert get(run_id).state_type == "CANCELLING"
    loops.run("leases", NOW + timedelta(seconds=121))
    assert get(run_id).state_type == "CANCELLED"


def test_late_runs_are_named_once() -> None:
    with db.transaction() as session:
        run = add_run(session, add_deployment(session), NOW)
    assert loops.run("late", NOW + timedelta(seconds=14)) == 0
    assert [loops.run("late", NOW + timedelta(seconds=16)) for _ in range(2)] == [1, 0]
    late = get(run.id)
    assert (late.state_type, late.state_name) == ("SCHEDULED", "Late")
    assert "no agent has taken it yet" in late.state_message
    with db.transaction() as session:
        agent = add_agent(session)
        assert claims.claim(session, agent.id, ["q"], now=NOW + timedelta(seconds=20), issue_token=token)


def partitions() -> set[str]:
    with db.reading() as session:
        query = (
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent IN ('event'::regclass, 'log'::regclass)"
        )
        return set(session.scalars(text(query)))


def test_partitions_are_made_ahead_and_dropped_by_retention() -> None:
    later = NOW + timedelta(days=40)
    loops.run("partitions", later)
    found = partitions()
    for table, kept in (("event", 14), ("log", 30)):
        assert f"{table}_{later + timedelta(days=7):%Y%m%d}" in found
        assert f"{table}_{later - timedelta(days=kept + 1):%Y%m%d}" not in found
    assert loops.run("partitions", later) == 0


def test_a_short_retention_makes_no_partitions_to_drop_them_again() -> None:
    config.use(Settings(event_retention=timedelta(days=2), log_retention=timedelta(days=3)))
    try:
        assert loops.run("partitions", NOW) > 0
        assert loops.run("partitions", NOW) == 0
    finally:
        config.use(None)
    assert f"event_{NOW - timedelta(days=2):%Y%m%d}" in partitions()


def test_what_is_old_is_deleted_and_what_is_not_stays() -> None:
    old = NOW - timedelta(days=100)
    with db.transaction() as session:
        deployment = add_deployment(session)
        ended, kept, waiting = (add_run(session, deployment, at) for at in (old, NOW, old))
        for run, at in ((ended, old), (kept, NOW)):
            runs.move(session, run.id, State(S.CANCELLED, at=at), actor=ANN, now=at)
        session.add(Producer(id=uuid7(), sequence=3, updated=old))
        session.add(Producer(id=uuid7(), sequence=3, updated=NOW))
        gone, silent, new = (add_agent(session, at=at) for at in (NOW - timedelta(days=2), old, NOW))
        gone.stopped = NOW - timedelta(days=2)
        assert silent.stopped is None
    loops.run("retention", NOW)
    with db.reading() as session:
        assert set(session.scalars(select(FlowRun.id))) == {kept.id, waiting.id}
        assert session.scalar(select(func.count()).select_from(Producer)) == 1
        assert session.scalars(select(Agent.id)).all() == [new.id]


def test_much_that_is_old_goes_in_one_round() -> None:
    old = NOW - timedelta(days=100)
    with db.transaction() as session:
        deployment = add_deployment(session)
        for _ in range(450):
            runs.create(session, deployment, actor=ANN, now=old)
        session.execute(update(FlowRun).values(state_type="COMPLETED", ended=old))
    assert loops.run("retention", NOW) == 450


def test_heartbeats_are_kept_for_a_shorter_time() -> None:
    config.use(Settings(heartbeat_retention=timedelta(hours=2)))
    with db.transaction() as session:
        told = [
            events.EventRecord("x.y", {"resource.id": kind}, id=uuid7(NOW - age), kind=kind, source="key")
            for kind in ("heartbeat", "operation")
            for age in (timedelta(hours=1), timedelta(hours=3))
        ]
        events.store(session, told, NOW)
    try:
        loops.run("retention", NOW)
    finally:
        config.use(None)
    with db.reading() as session:
        kinds = [row.kind for row in events.listing(session).items]
    assert sorted(kinds) == ["heartbeat", "operation", "operation"]
