"""What schedules say of slots that were missed, that come while a run goes on, and of runs that fail."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from orchestrator.clock import now
from orchestrator.documents.records import Job, State
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import CalendarDays, Deployment, Event, FlowRun, Schedule
from orchestrator.server.services.deploying import calendars, deployments, schedules
from orchestrator.server.services.running import claims, runs, waiting
from orchestrator.states import StateType
from tests.server_rows import ANN, add_agent, add_deployment, token

pytestmark = pytest.mark.usefixtures("database_url")
NOW = now().replace(minute=2, second=0, microsecond=0)
FIVE = timedelta(minutes=5)
#: The slots after :data:`NOW`: at minute 5, 10, 15.
SLOTS = [NOW + timedelta(minutes=3) + FIVE * n for n in range(3)]
S = StateType


def made(**policy: Any) -> uuid.UUID:
    """A schedule that fires every five minutes, with its runs made ahead."""
    with db.transaction() as session:
        document = {"slug": "five", "cron": "*/5 * * * *", **policy}
        found = schedules.create(session, add_deployment(session), document, ANN, NOW).id
    loops.run("schedule", NOW)
    return found


def claim(at: datetime) -> Job | None:
    with db.transaction() as session:
        agent = add_agent(session, at=at)
        return claims.claim(session, agent.id, ["q"], now=at, issue_token=token)


def claim_all(at: datetime) -> list[Job]:
    taken = []
    while (job := claim(at)) is not None:
        taken.append(job)
    return taken


def end(job: Job, kind: StateType, at: datetime) -> None:
    with db.transaction() as session:
        if kind is S.FAILED:
            runs.move(session, job.id, State(S.RUNNING, at=at), attempt=job.attempt, actor=ANN, now=at)
        runs.move(session, job.id, State(kind, at=at), attempt=job.attempt, actor=ANN, now=at)


def names(schedule: uuid.UUID, *slots: datetime) -> list[str]:
    """The names of the states of the runs of these slots."""
    with db.reading() as session:
        found = {
            run.slot: run.state_name for run in session.scalars(select(FlowRun).where(FlowRun.schedule_id == schedule))
        }
    return [found.get(slot, "none") for slot in slots]


class TestCatchUp:
    BACK = NOW + timedelta(hours=1)

    @pytest.mark.parametrize(("policy", "run"), [("latest", 1), ("none", 0), ("all", 12), ("20m", 4)])
    def test_pain_29_no_agent_was_there(self, policy: str, run: int) -> None:
        schedule = made(catch_up=policy)
        assert len(claim_all(self.BACK)) == run, "whether the loop has been round or not"
        loops.run("late", self.BACK)
        with db.reading() as session:
            skipped = session.scalars(
                select(FlowRun).where(FlowRun.schedule_id == schedule, FlowRun.state_name == "Skipped")
            ).all()
        assert len(skipped) == 12 - run
        assert all(item.ended == self.BACK and "Retry it" in item.state_message for item in skipped)

    @pytest.mark.parametrize(("policy", "run"), [("latest", 1), ("none", 0), ("all", 12), ("20m", 4)])
    def test_pain_29_the_scheduler_was_off(self, policy: str, run: int) -> None:
        schedule = made(catch_up=policy)
        with db.transaction() as session:
            runs.drop_scheduled(session, [schedule])
            session.execute(update(Schedule).values(materialised_to=NOW))
        loops.run("schedule", self.BACK)
        assert len(claim_all(self.BACK)) == run

    def test_very_many_are_made_in_several_steps(self) -> None:
        schedule = made(cron="* * * * *", catch_up="all")
        with db.transaction() as session:
            runs.drop_scheduled(session, [schedule])
            session.execute(update(Schedule).values(materialised_to=NOW - timedelta(minutes=250)))
        for _ in range(4):
            loops.run("schedule", NOW)
        with db.reading() as session:
            past = select(FlowRun.slot).where(FlowRun.schedule_id == schedule, FlowRun.slot <= NOW)
            found = sorted(filter(None, session.scalars(past)))
        assert len(found) == 250
        assert found == [NOW - timedelta(minutes=249 - n) for n in range(250)]

    def test_pain_29_an_old_start_makes_no_past_runs(self) -> None:
        schedule = made(start="2020-01-01T00:00:00Z", catch_up="all")
        with db.reading() as session:
            slots = session.scalars(select(FlowRun.slot).where(FlowRun.schedule_id == schedule)).all()
        assert min(filter(None, slots)) == SLOTS[0]


class TestOverlap:
    def test_allow_runs_beside(self) -> None:
        made(overlap="allow")
        assert claim(SLOTS[0]) is not None
        assert claim(SLOTS[1]) is not None

    @pytest.mark.parametrize("loop_is_first", [True, False])
    def test_skip(self, loop_is_first: bool) -> None:
        schedule = made(overlap="skip")
        job = claim(SLOTS[0])
        assert job is not None
        if loop_is_first:
            loops.run("schedule-policies", SLOTS[1])
        assert claim(SLOTS[1]) is None
        end(job, S.COMPLETED, SLOTS[1] + timedelta(seconds=1))
        assert claim(SLOTS[1] + timedelta(seconds=2)) is None, "it went on when the slot came"
        loops.run("schedule-policies", SLOTS[1] + timedelta(seconds=3))
        assert names(schedule, *SLOTS[:2]) == ["Completed", "Skipped"]
        assert claim(SLOTS[2]) is not None, "the next one finds its place"

    def test_queue_all_takes_turns(self) -> None:
        schedule = made(overlap="queue-all", catch_up="all")
        job = claim(SLOTS[0])
        assert job is not None
        at = SLOTS[2] + timedelta(seconds=1)
        loops.run("schedule-policies", at)
        assert claim(at) is None
        with db.reading() as session:
            query = select(FlowRun).where(FlowRun.schedule_id == schedule, FlowRun.slot == SLOTS[1])
            second = session.scalars(query).one()
            why = waiting.why(session, second.id, at)
        assert why is not None
        assert why.code == "earlier-run"
        assert job.name in why.message
        end(job, S.COMPLETED, at)
        taken = claim_all(at)
        assert [item.id for item in taken] == [second.id], "one at a time, the earlier first"
        end(taken[0], S.COMPLETED, at)
        assert len(claim_all(at)) == 1

    def test_queue_one_lets_one_wait(self) -> None:
        schedule = made(overlap="queue-one", catch_up="all")
        job = claim(SLOTS[0])
        assert job is not None
        at = SLOTS[2] + timedelta(seconds=1)
        loops.run("schedule-policies", at)
        assert names(schedule, *SLOTS) == [job.state.name, "Scheduled", "Skipped"]
        end(job, S.COMPLETED, at)
        assert len(claim_all(at)) == 1

    def test_cancel_other(self) -> None:
        schedule = made(overlap="cancel-other")
        job = claim(SLOTS[0])
        assert job is not None
        assert claim(SLOTS[1]) is None, "not before the other is gone"
        loops.run("schedule-policies", SLOTS[1])
        with db.reading() as session:
            first = runs.get(session, job.id)
        assert first.state_type == "CANCELLING"
        assert "Cancelled by the schedule" in first.state_message
        end(job, S.CANCELLED, SLOTS[1] + timedelta(seconds=1))
        assert claim(SLOTS[1] + timedelta(seconds=2)) is not None
        assert names(schedule, *SLOTS[:2])[0] == "Cancelled"

    def test_two_agents_in_one_moment_get_one(self) -> None:
        made(overlap="queue-all", catch_up="all")
        first, second = Session(db.engine()), Session(db.engine())
        try:
            jobs = [
                claims.claim(one, add_agent(one, at=SLOTS[2]).id, ["q"], now=SLOTS[2], issue_token=token)
                for one in (first, second)
            ]
            first.commit()
            second.commit()
        finally:
            first.close()
            second.close()
        assert [job is None for job in jobs] == [False, True]

    def test_what_was_retried_goes_its_own_way(self) -> None:
        schedule = made(overlap="skip")
        job = claim(SLOTS[0])
        assert job is not None
        loops.run("schedule-policies", SLOTS[1])
        with db.transaction() as session:
            skipped = session.scalars(
                select(FlowRun).where(FlowRun.schedule_id == schedule, FlowRun.state_name == "Skipped")
            ).one()
            runs.retry(session, skipped.id, ANN, SLOTS[1] + FIVE / 2)
        loops.run("schedule-policies", SLOTS[1] + FIVE / 2)
        assert names(schedule, SLOTS[1]) == ["Scheduled"]


class TestPauseOnFailure:
    def test_a_failed_run_stops_it_until_it_is_started_again(self) -> None:
        schedule = made(pause_on_failure=True, note="owner: Ann")
        job = claim(SLOTS[0])
        assert job is not None
        end(job, S.FAILED, SLOTS[0])
        loops.run("schedule-policies", SLOTS[0] + timedelta(seconds=1))
        with db.transaction() as session:
            row = schedules.get(session, schedule)
            assert not row.active
            assert row.note.startswith(f"Stopped: the run {job.name} ended Failed")
            told = session.scalars(select(Event).where(Event.event == "schedule.updated")).all()
            assert len(told) == 1
            assert schedules.change(session, schedule, {"active": True}, ANN, SLOTS[0] + FIVE / 5).note == ""
        loops.run("schedule-policies", SLOTS[0] + FIVE / 4)
        with db.reading() as session:
            assert schedules.get(session, schedule).active, "the old failure does not count"
        assert names(schedule, SLOTS[1]) == ["none"]

    def test_without_it_failures_change_nothing(self) -> None:
        schedule = made()
        job = claim(SLOTS[0])
        assert job is not None
        end(job, S.FAILED, SLOTS[0])
        loops.run("schedule-policies", SLOTS[1])
        with db.reading() as session:
            assert schedules.get(session, schedule).active


class TestWhen:
    def test_bounds(self) -> None:
        schedule = made(start=SLOTS[1].isoformat(), end=SLOTS[1].isoformat())
        with db.reading() as session:
            assert list(session.scalars(select(FlowRun.slot).where(FlowRun.schedule_id == schedule))) == [SLOTS[1]]

    def test_jitter_is_the_same_each_time(self) -> None:
        schedule = made(jitter="2m")

        def dues() -> list[timedelta]:
            with db.reading() as session:
                rows = session.scalars(
                    select(FlowRun).where(FlowRun.schedule_id == schedule).order_by(FlowRun.slot).limit(10)
                )
                return [row.due - row.slot for row in rows if row.slot is not None]

        first = dues()
        assert len(set(first)) > 5
        assert all(timedelta(0) <= late < timedelta(minutes=2) for late in first)
        with db.transaction() as session:
            schedules.drop_ahead(session, [schedule], NOW)
        loops.run("schedule", NOW)
        assert dues() == first

    def test_a_jittered_run_is_caught_up_as_any(self) -> None:
        made(jitter="2m")
        assert len(claim_all(NOW + timedelta(hours=1))) == 1

    def test_a_calendar_that_is_changed_makes_the_runs_anew(self) -> None:
        with db.transaction() as session:
            calendars.put(session, "open", {}, ANN, NOW)
        schedule = made(cron="0 12 * * *", calendar="open")
        first = NOW.date() + timedelta(days=2)
        with db.transaction() as session:
            calendars.put(session, "open", {"holidays": [first.isoformat()]}, ANN, NOW)
        loops.run("schedule", NOW)
        with db.reading() as session:
            slots = session.scalars(select(FlowRun.slot).where(FlowRun.schedule_id == schedule))
            days = {slot.date() for slot in slots if slot}
        assert first not in days
        assert first + timedelta(days=1) in days

    def test_a_calendar_must_be_there_and_is_not_deleted_while_it_is_used(self) -> None:
        daily = {"cron": "0 12 * * *", "calendar": "nowhere"}
        with pytest.raises(InvalidInput, match=r"calendar: there is no calendar nowhere"):
            made(calendar="nowhere")
        document = {"flow": "load", "name": "nightly", "entrypoint": "a.py:load", "schedules": [daily]}
        with db.transaction() as session, pytest.raises(InvalidInput, match=r"schedules.cron.calendar: there is no"):
            deployments.apply(session, document, ANN, NOW)
        with db.transaction() as session:
            calendars.put(session, "open", {}, ANN, NOW)
        made(calendar="open")
        with db.transaction() as session, pytest.raises(Conflict, match=r"used by .*/five"):
            calendars.delete(session, "open", ANN, NOW)

    def test_an_icalendar_file_closes_days(self) -> None:
        day = NOW.date() + timedelta(days=1)
        ical = (
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\nBEGIN:VEVENT\nUID:1\nSUMMARY:Holiday\n"
            f"DTSTART;VALUE=DATE:{day:%Y%m%d}\nEND:VEVENT\nEND:VCALENDAR\n"
        )
        with db.transaction() as session:
            calendars.put(session, "open", {"ical": ical, "holidays": ["12-25"]}, ANN, NOW)
        with db.reading() as session:
            assert session.scalars(select(CalendarDays)).one().holidays == ["12-25", day.isoformat()]
        schedule = made(cron="0 12 * * *", calendar="open")
        with db.reading() as session:
            slots = session.scalars(select(FlowRun.slot).where(FlowRun.schedule_id == schedule)).all()
        assert day not in {slot.date() for slot in slots if slot}

    def test_what_does_not_concern_times_leaves_runs_alone(self) -> None:
        schedule = made()
        with db.reading() as session:
            before = set(session.scalars(select(FlowRun.id).where(FlowRun.schedule_id == schedule)))
        with db.transaction() as session:
            schedules.change(session, schedule, {"overlap": "skip", "note": "why"}, ANN, NOW)
            assert session.scalars(select(Deployment)).one() is not None
        with db.reading() as session:
            assert set(session.scalars(select(FlowRun.id).where(FlowRun.schedule_id == schedule))) == before
