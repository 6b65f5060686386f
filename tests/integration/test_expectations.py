"""Expectations on a real database: what is due, what becomes of it, and that it is told once."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import select, text

from orchestrator.documents.records import State
from orchestrator.errors import InvalidInput
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import (
    Action,
    Deployment,
    Event,
    Expectation,
    ExpectationOccurrence,
    Firing,
    FlowRun,
    FlowRunState,
    Tick,
)
from orchestrator.server.services import ticks
from orchestrator.server.services.deploying import calendars
from orchestrator.server.services.expecting import expectations
from orchestrator.server.services.expecting.expectation_judging import SETTLING
from orchestrator.server.services.recording import events
from orchestrator.server.services.running import claims, runs
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, add_run, token

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
#: Long after the deadline: lateness and settling are over.
MUCH = timedelta(seconds=45)
#: The beginning of today's first whole hour that lies at least two hours back: ids of events carry the real time.
EIGHT = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)


@pytest.fixture(autouse=True)
def tower(database_url: str) -> None:
    """A tower that has been up for long."""
    turn(EIGHT)


def turn(at: datetime, up_for: timedelta = timedelta(hours=1)) -> None:
    """One round of the loop, the API being up for so long."""
    with db.transaction() as session:
        session.execute(text("DELETE FROM tick"))
        session.add_all([Tick(loop=loop, at=moment, took_ms=0, by="") for loop, moment in (
            (ticks.API, at), (ticks.API_SINCE, at - up_for))])  # fmt: skip
    loops.run("expectations", at)


def expect(at: datetime = EIGHT, **document: Any) -> Expectation:
    with db.transaction() as session:
        made = expectations.create(session, {"name": "it", **document}, ANN, at)
    turn(at)
    return made


def at_nine(**more: Any) -> dict[str, Any]:
    """By a quarter past each full hour, beginning with nine."""
    return {"every": {"cron": "0 * * * *"}, "by": "15m", **more}


def happens(name: str, at: datetime, about: str = "thing", heard: datetime | None = None, **labels: str) -> None:
    resource = {"resource.id": about, **labels}
    source = "tower" if name.startswith("resource.") else "key"
    with db.transaction() as session:
        events.record(session, [events.EventRecord(name, resource, occurred=at, source=source)], heard or at)


def found(key: str | None = None) -> list[ExpectationOccurrence]:
    with db.reading() as session:
        query = select(ExpectationOccurrence).order_by(ExpectationOccurrence.slot, ExpectationOccurrence.key)
        return [row for row in session.scalars(query) if key is None or row.key == key]


def statuses(key: str | None = None) -> list[str]:
    """What became of occurrences, without those that are due yet."""
    return [row.status for row in found(key) if row.status != "due"]


def told(what: str = "*") -> list[str]:
    with db.reading() as session:
        query = select(Event).where(Event.event.startswith("expectation.")).order_by(Event.id)
        names = [row.event for row in session.scalars(query) if row.event != "expectation.created"]
        return [name for name in names if what in ("*", name)]


def firings() -> list[Firing]:
    with db.reading() as session:
        return list(session.scalars(select(Firing).order_by(Firing.id)))


def begin(deployment: Deployment, at: datetime, **facts: Any) -> uuid.UUID:
    """A run that starts."""
    with db.transaction() as session:
        run = add_run(session, session.get_one(Deployment, deployment.id), at, **facts)
    go_on(at)
    return run.id


def go_on(at: datetime) -> None:
    """An agent takes the run that waits, and starts it."""
    with db.transaction() as session:
        job = claims.claim(session, add_agent(session, at=at).id, ["q"], now=at, issue_token=token)
        assert job is not None
    become(job.id, StateType.RUNNING, at)


def become(run: uuid.UUID, kind: StateType, at: datetime, heard: datetime | None = None) -> None:
    with db.transaction() as session:
        attempt = session.get_one(FlowRun, run).attempt
        runs.move(session, run, State(kind, at=at), attempt=attempt, actor=ANN, now=heard or at)


@pytest.fixture
def etl(tower: None) -> Deployment:
    with db.transaction() as session:
        return add_deployment(session)


RUN = {"deployment": "etl/prod"}
NINE = EIGHT + timedelta(hours=1)


class TestByTheClock:
    def test_occurrences_are_there_ahead(self) -> None:
        expect(on={"expect": "order"}, **at_nine())
        rows = found()
        assert rows[0].slot == NINE
        assert rows[0].due == NINE + 15 * MINUTE
        assert len(rows) == 100
        assert {row.status for row in rows} == {"due"}

    def test_met_in_time_is_told_at_once(self) -> None:
        expect(on={"expect": "order"}, **at_nine())
        happens("order", NINE + 5 * MINUTE)
        happens("other", NINE + 5 * MINUTE)
        turn(NINE + 6 * MINUTE)
        assert statuses() == ["met"]
        assert told() == ["expectation.met"]
        assert firings() == []

    def test_what_never_happens_is_missed_once(self) -> None:
        expect(on={"expect": "order"}, severity="critical", grace="5m", **at_nine())
        deadline = NINE + 20 * MINUTE
        turn(deadline + timedelta(seconds=5))
        assert statuses() == [], "news of before the deadline may still be under way"
        for _ in range(2):
            turn(deadline + timedelta(seconds=11))
        assert statuses() == ["missed"]
        assert told() == ["expectation.missed"]
        [firing] = firings()
        assert (firing.state, firing.occurred, firing.context["late"]) == ("open", deadline, False)
        assert f": missed; expected by {NINE + 15 * MINUTE:%H:%M} UTC on" in firing.reason, firing.reason
        assert firing.reason.endswith(", with 5 minutes of grace")

    def test_what_comes_late_turns_the_miss_and_resolves(self) -> None:
        expect(on={"expect": "order"}, **at_nine())
        turn(NINE + 16 * MINUTE)
        happens("order", NINE + 40 * MINUTE)
        turn(NINE + 41 * MINUTE)
        assert statuses() == ["late"]
        assert told() == ["expectation.missed", "expectation.late", "expectation.resolved"]
        [firing] = firings()
        assert (firing.state, firing.resolved) == ("resolved", NINE + 41 * MINUTE)

    def test_a_count_and_a_list_of_what_was_never_seen(self) -> None:
        expect(
            on={"expect": "file.created"}, count=2, for_each="store", each_of=["17", "18", "19"], **at_nine()
        )  # fmt: skip
        for store, minute in (("17", 1), ("17", 2), ("18", 3), ("99", 4), ("99", 5)):
            happens("file.created", NINE + minute * MINUTE, f"s3://in/{store}/{minute}", store=store)
        turn(NINE + 16 * MINUTE)
        assert (statuses("17"), statuses("18"), statuses("19")) == (["met"], ["missed"], ["missed"])
        assert statuses("99") == []
        assert len(firings()) == 2

    def test_whatever_is_seen_is_expected_again(self) -> None:
        expect(on={"expect": "file.created"}, for_each="store", **at_nine())
        assert found() == []
        happens("file.created", NINE + MINUTE, store="17")
        turn(NINE + 2 * MINUTE)
        assert statuses("17") == ["met"]
        turn(NINE + timedelta(hours=1) + 16 * MINUTE)
        assert statuses("17") == ["met", "missed"]

    def test_holidays_of_a_calendar_are_left_out(self) -> None:
        with db.transaction() as session:
            calendars.put(session, "ours", {"holidays": [f"{NINE + DAY:%Y-%m-%d}"]}, ANN, EIGHT)
        cron = f"{NINE:%M} {NINE.hour} * * *"
        expect(on={"expect": "order"}, every={"cron": cron, "calendar": "ours"}, by="15m")
        assert [row.slot for row in found()][:2] == [NINE, NINE + 2 * DAY]

    def test_muted_misses_are_noted_and_nothing_is_done(self) -> None:
        made = expect(on={"expect": "order"}, **at_nine())
        with db.transaction() as session:
            expectations.mute(session, made.id, NINE + DAY, ANN, EIGHT)
        turn(NINE + 16 * MINUTE)
        [firing] = firings()
        assert (firing.state, firing.suppressed) == ("suppressed", "muted")

    def test_switched_off_nothing_is_expected(self) -> None:
        made = expect(on={"expect": "order"}, **at_nine())
        with db.transaction() as session:
            expectations.switch(session, made.id, False, ANN, EIGHT)
        turn(NINE + 16 * MINUTE)
        assert found() == []
        with db.transaction() as session:
            expectations.switch(session, made.id, True, ANN, NINE + 20 * MINUTE)
        turn(NINE + 20 * MINUTE)
        assert found()[0].slot == NINE + timedelta(hours=1)

    def test_another_deadline_is_expected_from_now_on_another_owner_changes_nothing(self) -> None:
        made = expect(on={"expect": "order"}, **at_nine())
        before = [row.id for row in found()]
        with db.transaction() as session:
            expectations.change(session, made.id, {"owner": "team"}, ANN, EIGHT)
        turn(EIGHT)
        assert [row.id for row in found()] == before
        with db.transaction() as session:
            expectations.change(session, made.id, {"by": "20m"}, ANN, EIGHT + MINUTE)
        turn(EIGHT + MINUTE)
        assert found()[0].due == NINE + 20 * MINUTE


class TestActions:
    def test_a_miss_and_its_end_have_things_done(self, etl: Deployment) -> None:
        expect(
            run=RUN,
            **at_nine(),
            then=[{"do": "run-deployment", "deployment": "etl/prod"}, emits("escalate")],
            on_resolve=[emits("relax")],
        )
        turn(NINE + 16 * MINUTE)
        loops.run("actions", NINE + 16 * MINUTE)
        assert sorted(kinds()) == ["emit-event", "run-deployment"]
        [escalated] = named("escalate")
        assert escalated.payload == {"why": "it", "due": (NINE + 15 * MINUTE).strftime("%H:%M")}
        with db.reading() as session:
            [made] = session.scalars(select(FlowRun))
        go_on(NINE + 20 * MINUTE)
        become(made.id, StateType.COMPLETED, NINE + 30 * MINUTE)
        turn(NINE + 31 * MINUTE)
        loops.run("actions", NINE + 31 * MINUTE)
        assert statuses() == ["late"]
        assert len(named("relax")) == 1

    def test_actions_are_checked_when_it_is_saved(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            expect(on={"expect": "order"}, **at_nine(), then=[{"do": "notify", "block": "slack/none"}])
        assert "then.0.block" in caught.value.errors


def emits(name: str) -> dict[str, Any]:
    payload = {"why": "{{ expectation.name }}", "due": "{{ expectation.occurrence.due[11:16] }}"}
    return {"do": "emit-event", "event": name, "resource": {"resource.id": "{{ labels['resource.id'] }}"},
            "payload": payload}  # fmt: skip


def kinds() -> list[str]:
    with db.reading() as session:
        return [row.kind for row in session.scalars(select(Action)) if row.state == "done"]


def named(event: str) -> list[Event]:
    with db.reading() as session:
        return list(session.scalars(select(Event).where(Event.event == event)))


class TestOutages:
    def test_each_due_window_is_judged_from_what_is_stored_and_marked(self) -> None:
        """The tower is away from before the first deadline until after the third."""
        start = EIGHT - timedelta(hours=5)
        expect(start, on={"expect": "order"}, **at_nine())
        for hour, minute in ((1, 5), (3, 30)):
            happens("order", start + timedelta(hours=hour, minutes=minute), heard=EIGHT)
        turn(EIGHT, timedelta(seconds=10))
        assert "missed" not in statuses(), "what was held back may still arrive"
        turn(EIGHT + MUCH, MUCH)
        assert statuses() == ["met", "missed", "late", "missed"]
        assert [row.judged_late for row in found()[:4]] == [False, True, False, True]
        assert [firing.context["late"] for firing in firings()] == [True, True]

    def test_windows_that_were_never_made_are_made_after_it(self) -> None:
        start = EIGHT - timedelta(hours=50)
        made = expect(start, on={"expect": "order"}, **at_nine())
        with db.transaction() as session:
            session.execute(text("DELETE FROM expectation_occurrence"))
            row = session.get_one(Expectation, made.id)
            row.materialised_to, row.refill = start, start
        turn(EIGHT)
        assert len(statuses()) == 49
        assert set(statuses()) == {"missed"}

    def test_while_the_api_is_away_nothing_is_judged(self) -> None:
        expect(on={"expect": "order"}, **at_nine())
        with db.transaction() as session:
            session.execute(text("DELETE FROM tick"))
        loops.run("expectations", NINE + 20 * MINUTE)
        assert statuses() == []
        turn(NINE + 20 * MINUTE, SETTLING)
        assert statuses() == ["missed"]


class TestAgainAndAgain:
    def test_a_heartbeat_stops_and_comes_back(self) -> None:
        expect(on={"expect": "beat", "match": {"resource.id": "sensor"}}, heartbeat=60)
        for minute in range(1, 5):
            happens("beat", EIGHT + minute * MINUTE, "sensor")
        turn(EIGHT + 4 * MINUTE)
        assert [(row.status, row.due) for row in found()] == [("due", EIGHT + 5 * MINUTE)]
        turn(EIGHT + 6 * MINUTE)
        turn(EIGHT + 9 * MINUTE)
        assert statuses() == ["missed"], "once, however long it is silent"
        assert len(firings()) == 1
        happens("beat", EIGHT + 10 * MINUTE, "sensor")
        turn(EIGHT + 10 * MINUTE)
        assert [row.status for row in found()] == ["late", "due"]
        assert firings()[0].state == "resolved"

    def test_a_table_that_nobody_orchestrates_goes_stale(self) -> None:
        table = "postgres://dwh/sales.orders"
        happens("resource.changed", EIGHT - timedelta(hours=20), table, heard=EIGHT - timedelta(hours=20))
        expect(on={"expect": "resource.changed", "match": {"resource.id": table}}, within="24h")
        [row] = found()
        assert row.due == EIGHT + timedelta(hours=4), "from the last change that is known"
        turn(EIGHT + timedelta(hours=4) + MUCH)
        assert statuses() == ["missed"]

    def test_those_never_seen_are_expected_as_well(self) -> None:
        expect(on={"expect": "beat"}, within="10m", each_of=["a", "b"])
        happens("beat", EIGHT + 5 * MINUTE, "a")
        turn(EIGHT + 11 * MINUTE)
        assert (statuses("a"), statuses("b")) == ([], ["missed"])

    def test_weekends_do_not_count(self) -> None:
        expect(on={"expect": "beat"}, within="24h", calendar="weekdays", timezone="Europe/Berlin")
        [row] = found()
        assert row.due.weekday() < 5 or (row.due.weekday(), row.due.hour) in ((5, 22), (5, 23))
        assert row.due >= EIGHT + DAY

    def test_runs_of_a_deployment(self, etl: Deployment) -> None:
        expect(run=RUN, within="1h")
        run = begin(etl, EIGHT + 30 * MINUTE)
        become(run, StateType.COMPLETED, EIGHT + 40 * MINUTE)
        turn(EIGHT + 70 * MINUTE)
        [row] = found()
        assert (row.status, row.due) == ("due", EIGHT + 100 * MINUTE)
        turn(EIGHT + 101 * MINUTE)
        assert statuses() == ["missed"]


class TestPain17:
    """ "Did not happen in time" fires falsely, late, or never."""

    @staticmethod
    def finish(etl: Deployment, at: datetime = EIGHT, **more: Any) -> None:
        expect(at, run={**RUN, "finishes_within": 60, **more})

    def test_a_done_at_59_s_is_no_miss_even_if_it_is_heard_of_at_65_s(self, etl: Deployment) -> None:
        self.finish(etl)
        run = begin(etl, NINE)
        turn(NINE)
        turn(NINE + timedelta(seconds=64))
        become(run, StateType.COMPLETED, NINE + timedelta(seconds=59), heard=NINE + timedelta(seconds=65))
        turn(NINE + 2 * MINUTE)
        assert statuses() == ["met"]
        assert firings() == []

    def test_a_heard_of_even_later_it_is_put_right(self, etl: Deployment) -> None:
        self.finish(etl)
        run = begin(etl, NINE)
        turn(NINE + 2 * MINUTE)
        assert statuses() == ["missed"]
        become(run, StateType.COMPLETED, NINE + timedelta(seconds=59), heard=NINE + 3 * MINUTE)
        turn(NINE + 3 * MINUTE)
        assert statuses() == ["met"]
        assert firings()[0].state == "resolved"

    def test_b_never_done_is_missed_once_while_it_still_runs(self, etl: Deployment) -> None:
        self.finish(etl)
        run = begin(etl, NINE)
        for seconds in (0, 60, 69, 71, 72, 600):
            turn(NINE + timedelta(seconds=seconds))
            assert len(firings()) == (seconds > 70)
        with db.reading() as session:
            assert session.get_one(FlowRun, run).state_type == "RUNNING"
        become(run, StateType.COMPLETED, NINE + 20 * MINUTE)
        turn(NINE + 20 * MINUTE)
        assert statuses() == ["late"]

    def test_c_the_judge_away_across_the_deadline_is_one_miss_marked_late(self, etl: Deployment) -> None:
        self.finish(etl)
        begin(etl, NINE)
        turn(NINE)
        for minutes in (30, 31):
            turn(NINE + minutes * MINUTE)
        [firing] = firings()
        assert firing.context["late"] is True
        [row] = found()
        assert (row.status, row.judged_late) == ("missed", True)

    def test_d_by_hand_and_by_schedule_alike(self, etl: Deployment) -> None:
        expect(run=RUN, **at_nine())
        for hour in (0, 1):
            at = NINE + timedelta(hours=hour)
            run = begin(etl, at)
            with db.transaction() as session:
                session.get_one(FlowRun, run).slot = at if hour else None
            become(run, StateType.COMPLETED, at + 9 * MINUTE)
        turn(NINE + timedelta(hours=1, minutes=20))
        assert statuses() == ["met", "met"]

    def test_e_a_wait_for_a_retry_neither_meets_nor_resets_it(self, etl: Deployment) -> None:
        self.finish(etl)
        run = begin(etl, NINE)
        turn(NINE)
        become(run, StateType.SCHEDULED, NINE + timedelta(seconds=20))
        go_on(NINE + timedelta(seconds=50))
        turn(NINE + timedelta(seconds=50))
        turn(NINE + timedelta(seconds=71))
        assert statuses() == ["missed"]
        [row] = found()
        assert (row.opens, row.deadline) == (NINE, NINE + MINUTE)

    def test_of_its_schedule_a_run_that_never_starts_is_missed(self, etl: Deployment) -> None:
        self.finish(etl, of="schedule")
        with db.transaction() as session:
            add_run(session, session.get_one(Deployment, etl.id), EIGHT, due=NINE)
        turn(EIGHT)
        turn(NINE + timedelta(seconds=71))
        assert statuses() == ["missed"]

    def test_a_run_that_is_gone_is_not_missed(self, etl: Deployment) -> None:
        self.finish(etl, of="schedule")
        with db.transaction() as session:
            run = add_run(session, session.get_one(Deployment, etl.id), EIGHT, due=NINE)
        turn(EIGHT)
        with db.transaction() as session:
            session.delete(session.get_one(FlowRun, run.id))
        turn(NINE + timedelta(seconds=71))
        assert found() == []

    def test_events_that_are_lost_do_not_matter(self, etl: Deployment) -> None:
        """What happened to runs is read once more from their history before one is missed."""
        expect(run=RUN, **at_nine())
        run = begin(etl, NINE)
        become(run, StateType.COMPLETED, NINE + MINUTE)
        with db.transaction() as session:
            session.execute(text("DELETE FROM event WHERE event = 'flow-run.completed'"))
            assert session.scalar(select(FlowRunState.type).where(FlowRunState.type == "COMPLETED"))
        turn(NINE + 16 * MINUTE)
        assert statuses() == ["met"]


def test_two_judges_never_double() -> None:
    expect(on={"expect": "order"}, **at_nine())
    with db.transaction() as session:
        session.execute(text("DELETE FROM tick"))
    turn(NINE + 16 * MINUTE)
    with db.transaction() as session:
        session.execute(text("UPDATE expectation_occurrence SET status = 'due' WHERE status = 'missed'"))
    turn(NINE + 16 * MINUTE)
    assert len(firings()) == 1
