"""Backfills: which slots they fill, how many of their runs go on at once, and that the schedule does not notice."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator import cli
from orchestrator.clock import now, to_text
from orchestrator.documents.backfills import Reprocess
from orchestrator.documents.records import Job, State
from orchestrator.errors import InvalidInput, NotFound, ParameterError
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Deployment, Event, FlowRun, Schedule
from orchestrator.server.services.deploying import backfills, schedules
from orchestrator.server.services.deploying.backfills import Wanted, chosen
from orchestrator.server.services.running import claims, runs, waiting
from orchestrator.states import StateType
from tests.live_api import Api
from tests.server_rows import ANN, add_agent, add_deployment, token

pytestmark = pytest.mark.usefixtures("database_url")
S = StateType
NOW = now().replace(microsecond=0)
DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 27, 2, 30, tzinfo=timezone.utc)


@pytest.fixture
def deployment() -> uuid.UUID:
    """One that runs at half past two each night in UTC."""
    schema = {"type": "object", "properties": {"day": {"type": "string"}, "rows": {"type": "integer"}}}
    with db.transaction() as session:
        made = add_deployment(session, parameter_schema=schema, parameters={"rows": 1})
        schedules.create(session, made, {"slug": "night", "cron": "30 2 * * *"}, ANN, NOW)
        return made.id


def fill(deployment: uuid.UUID, days: int = 5, **wanted: Any) -> uuid.UUID:
    with db.transaction() as session:
        asked = Wanted(FIRST, FIRST + DAY * (days - 1), **wanted)
        return backfills.create(session, session.get_one(Deployment, deployment), asked, ANN, now()).id


def claim() -> Job | None:
    with db.transaction() as session:
        agent = add_agent(session)
        return claims.claim(session, agent.id, ["q"], now=now(), issue_token=token)


def end(job: Job, kind: StateType = S.COMPLETED) -> None:
    with db.transaction() as session:
        for state in (S.RUNNING, kind):
            runs.move(session, job.id, State(state, at=now()), attempt=job.attempt, actor=ANN, now=now())


def of(backfill: uuid.UUID) -> list[FlowRun]:
    with db.reading() as session:
        return list(session.scalars(select(FlowRun).where(FlowRun.backfill_id == backfill).order_by(FlowRun.slot)))


def slots(backfill: uuid.UUID) -> list[datetime | None]:
    return [run.slot for run in of(backfill)]


def test_which_slots_get_a_run() -> None:
    days = [FIRST + DAY * number for number in range(5)]
    last = dict(zip(days, ["COMPLETED", "FAILED", "CRASHED", "RUNNING"], strict=False))
    assert chosen(days, last, Reprocess.NONE) == [days[4]]
    assert chosen(days, last, Reprocess.FAILED) == [days[1], days[2], days[4]]
    assert chosen(days, last, Reprocess.COMPLETED) == [days[0], days[1], days[2], days[4]]


def test_two_at_a_time_in_order(deployment: uuid.UUID) -> None:
    made = fill(deployment, max_active=2, parameters={"day": "{{ slot:%d.%m. }} {{ slot }}"})
    assert of(made)[0].parameters == {"rows": 1, "day": "27.03. 2026-03-27T02:30:00Z"}
    assert {tuple(run.tags) for run in of(made)} == {("backfill",)}
    first, second = claim(), claim()
    assert first is not None
    assert second is not None
    assert claim() is None
    third = of(made)[2]
    with db.reading() as session:
        why = waiting.why(session, third.id, now())
    assert why is not None
    assert why.code == "backfill-full"
    assert str(made) in why.message
    assert str(first.id) in why.message
    end(second, S.FAILED)
    again = claim()
    assert again is not None
    assert again.id == third.id
    assert claim() is None
    for job in (first, again):
        end(job)
    rest = [claim(), claim(), claim()]
    assert [job and job.id for job in rest] == [*(run.id for run in of(made)[3:]), None]
    for one in rest[:2]:
        assert one is not None
        end(one)
    with db.reading() as session:
        row = backfills.get(session, made)
        assert (row.status, row.counts) == ("DONE", {"COMPLETED": 4, "FAILED": 1})


def test_backwards(deployment: uuid.UUID) -> None:
    made = fill(deployment, backwards=True)
    taken = []
    while (job := claim()) is not None:
        taken.append(job.id)
        end(job)
    assert taken == [run.id for run in reversed(of(made))]


def test_many_agents_that_claim_at_once_never_get_too_many(deployment: uuid.UUID) -> None:
    fill(deployment, days=30, max_active=3)
    for going_on in (3, 3, 3):
        jobs: list[Job | None] = []
        threads = [threading.Thread(target=lambda: jobs.append(claim())) for _ in range(8)]  # noqa: B023
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        got = [job for job in jobs if job is not None]
        assert len(jobs) == 8
        assert len(got) <= going_on
        while len(got) < going_on:
            job = claim()
            assert job is not None
            got.append(job)
        assert claim() is None
        for job in got:
            end(job)


def test_slots_that_have_runs_are_left_out_or_run_again(deployment: uuid.UUID) -> None:
    first = fill(deployment, days=2)
    for kind in (S.COMPLETED, S.FAILED):
        job = claim()
        assert job is not None
        end(job, kind)
    second = fill(deployment, days=4)
    assert slots(second) == [FIRST + DAY * 2, FIRST + DAY * 3]
    with pytest.raises(InvalidInput, match="all 4 slots in the range have runs"):
        fill(deployment, days=4)
    failed = fill(deployment, days=4, reprocess=Reprocess.FAILED)
    assert slots(failed) == [FIRST + DAY]
    assert slots(fill(deployment, days=4, reprocess=Reprocess.COMPLETED)) == [FIRST]
    assert len(slots(first)) == 2


def test_backfills_of_the_same_slots_at_once(deployment: uuid.UUID) -> None:
    made: list[uuid.UUID] = []
    refused: list[InvalidInput] = []

    def one() -> None:
        try:
            made.append(fill(deployment))
        except InvalidInput as error:
            refused.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(made), len(refused)) == (1, 3)


def test_the_schedule_does_not_notice(deployment: uuid.UUID) -> None:
    at = now()
    loops.run("schedule", at)

    def planned(session: Session) -> Any:
        [schedule] = session.scalars(select(Schedule)).all()
        ahead = session.scalars(select(FlowRun.slot).where(FlowRun.schedule_id == schedule.id).order_by(FlowRun.slot))
        return schedule.materialised_to, schedules.upcoming(session, schedule, at), list(ahead)

    with db.reading() as session:
        before = planned(session)
    made = fill(deployment)
    loops.run("schedule", at + timedelta(seconds=30))
    loops.run("late", at + timedelta(minutes=10))
    loops.run("schedule-policies", at + timedelta(minutes=10))
    with db.reading() as session:
        assert planned(session) == before
    assert {run.state_name for run in of(made)} == {"Scheduled"}


@pytest.mark.parametrize("filled", [False, True])
def test_what_a_backfill_ran_is_not_caught_up(filled: bool) -> None:
    at = now()
    with db.transaction() as session:
        made = add_deployment(session)
        schedules.create(session, made, {"cron": "0 * * * *", "catch_up": "all"}, ANN, at - DAY)
        if filled:
            backfills.create(session, made, Wanted(at - timedelta(hours=5)), ANN, at)
    loops.run("schedule", at)
    with db.reading() as session:
        passed = FlowRun.schedule_id.is_not(None), FlowRun.slot <= at
        assert len(session.scalars(select(FlowRun.id).where(*passed)).all()) == (19 if filled else 24)


def test_slots_are_those_of_the_time_zone() -> None:
    with db.transaction() as session:
        made = add_deployment(session)
        document = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
        schedules.create(session, made, document, ANN, NOW)
    with db.reading() as session:
        found = session.get_one(Deployment, made.id)
        wanted = Wanted(FIRST - DAY, FIRST + DAY * 4, parameters={"at": "{{ slot:%d %H:%M }}"})
        plan = backfills.plan(session, found, wanted, now())
    # On the 29th of March the clock goes from 2 to 3: the skipped slot is at the end of the gap.
    assert [item["at"] for item in plan.parameters] == ["27 02:30", "28 02:30", "29 03:00", "30 02:30", "31 02:30"]


def test_a_date_is_a_whole_day_of_the_time_zone() -> None:
    with db.transaction() as session:
        made = add_deployment(session)
        schedules.create(session, made, {"cron": "0 */6 * * *", "timezone": "America/New_York"}, ANN, NOW)
    with db.reading() as session:
        found = session.get_one(Deployment, made.id)
        plan = backfills.plan(session, found, Wanted(date(2026, 1, 5), date(2026, 1, 5)), now())
        assert [slot.isoformat() for slot in plan.slots] == [
            "2026-01-05T05:00:00+00:00",
            "2026-01-05T11:00:00+00:00",
            "2026-01-05T17:00:00+00:00",
            "2026-01-05T23:00:00+00:00",
        ]
        today = now().astimezone(ZoneInfo("America/New_York")).date()
        assert backfills.plan(session, found, Wanted(today - DAY, today), now()).range[1] <= now()


def test_a_deployment_that_cancels_new_runs_lets_backfills_wait(deployment: uuid.UUID) -> None:
    with db.transaction() as session:
        found = session.get_one(Deployment, deployment)
        found.concurrency_limit, found.collision = 1, "cancel-new"
    made = fill(deployment, max_active=3)
    taken = []
    while (job := claim()) is not None:
        assert claim() is None
        loops.run("collisions", now())
        taken.append(job.id)
        end(job)
    assert taken == [run.id for run in of(made)]


def test_it_is_cancelled_as_a_whole(deployment: uuid.UUID) -> None:
    made = fill(deployment, max_active=2)
    job = claim()
    assert job is not None
    with db.transaction() as session:
        backfills.cancel(session, made, ANN, now())
    assert claim() is None
    for _ in range(2):
        backfills.cancel_whole(made, ANN, now())
    with db.reading() as session:
        row = backfills.get(session, made)
        assert (row.status, row.counts) == ("CANCELLED", {"CANCELLED": 4, "CANCELLING": 1})
        named = Event.event.like("backfill.%")
        assert list(session.scalars(select(Event.event).where(named).order_by(Event.id))) == [
            "backfill.created",
            "backfill.cancelled",
        ]


@pytest.mark.parametrize(
    ("wanted", "error", "told"),
    [
        (Wanted(FIRST, NOW + DAY), InvalidInput, "end: .* lies in the future"),
        (Wanted(FIRST, FIRST - DAY), InvalidInput, "end: .* lies before the start"),
        (Wanted(FIRST + timedelta(hours=1), FIRST + timedelta(hours=2)), InvalidInput, "no slot in the range"),
        (Wanted(FIRST - DAY * 6000, FIRST), InvalidInput, "more than 5000 slots"),
        (Wanted(FIRST, FIRST, "noon"), NotFound, "has no schedule noon; it has night"),
        (
            Wanted(FIRST, FIRST, parameters={"rows": "many"}),
            ParameterError,
            "for the slot 2026-03-27T02:30:.*rows",
        ),
        (Wanted(FIRST, FIRST, parameters={"day": "{{ env.HOME }}"}), InvalidInput, "day: Templates"),
    ],
)
def test_what_cannot_be(deployment: uuid.UUID, wanted: Wanted, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told), db.transaction() as session:
        backfills.create(session, session.get_one(Deployment, deployment), wanted, ANN, now())
    with db.reading() as session:
        assert session.scalars(select(FlowRun)).all() == []


def test_which_schedule_has_to_be_said(deployment: uuid.UUID) -> None:
    with db.transaction() as session:
        found = session.get_one(Deployment, deployment)
        schedules.create(session, found, {"slug": "noon", "cron": "0 12 * * *"}, ANN, NOW)
    with pytest.raises(InvalidInput, match="has the schedules night, noon: say which"):
        fill(deployment)
    assert len(slots(fill(deployment, schedule="noon"))) == 4


def test_on_the_command_line(deployment: uuid.UUID, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    def said(*words: str) -> Any:
        assert cli.run(["backfill", *words]) == 0
        return capsys.readouterr()

    span = ["etl/prod", "--from", to_text(FIRST), "--to", to_text(FIRST + DAY * 2), "--max-active", "2"]
    plan = json.loads(
        said("create", *span, "--param", "day='{{ slot:%Y-%m-%d }}'", "--dry-run", "--output", "json").out
    )
    assert (plan["count"], plan["skipped"], len(plan["slots"])) == (3, 0, 3)
    assert "3 runs of schedule night" in said("create", *span, "--dry-run").err
    made = json.loads(said("create", *span, "--output", "json").out)
    assert (made["status"], made["counts"]) == ("RUNNING", {"SCHEDULED": 3})
    listed: Callable[..., Any] = lambda: json.loads(said("ls", "--deployment", "etl/prod", "--output", "json").out)  # noqa: E731
    assert [item["id"] for item in listed()] == [made["id"]]
    assert "3 SCHEDULED" in said("ls").out
    assert "3 CANCELLED" in said("cancel", made["id"], "--yes").err
    assert json.loads(said("inspect", made["id"], "--output", "json").out)["status"] == "CANCELLED"
