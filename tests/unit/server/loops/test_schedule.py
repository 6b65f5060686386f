"""Which slots are made ahead, and what becomes of missed ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from orchestrator.server.loops import schedule
from orchestrator.timing.calendars import Calendar
from orchestrator.timing.plans import CatchUp, Plan
from orchestrator.timing.schedules import ScheduleSpec

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=timezone.utc)


def every(**span: float) -> Plan:
    return Plan(ScheduleSpec(interval=timedelta(**span), anchor=datetime(2026, 1, 1, tzinfo=timezone.utc)))


def slots(plan: Plan, made_to: datetime | None, ahead: int, now: datetime) -> tuple[list[datetime], datetime]:
    return schedule.slots(plan, Calendar(), made_to, ahead, now)


def test_a_new_schedule_starts_no_past_run() -> None:
    made, _ = slots(every(minutes=5), None, 0, NOW)
    assert made[0] == datetime(2026, 3, 1, 12, 5, tzinfo=timezone.utc)


def test_it_reaches_an_hour_ahead() -> None:
    made, reached = slots(every(minutes=5), None, 0, NOW)
    assert made[-1] >= NOW + timedelta(hours=1)
    assert reached == made[-1]


def test_a_rare_one_has_three_runs() -> None:
    made, reached = slots(every(days=1), None, 0, NOW)
    assert len(made) == 3
    assert reached == made[-1]


def test_a_dense_one_has_a_hundred() -> None:
    made, reached = slots(every(seconds=1), None, 0, NOW)
    assert len(made) == schedule.RUNS_MOST
    assert reached == made[-1]


def test_it_goes_on_where_it_was() -> None:
    first, reached = slots(every(seconds=1), None, 0, NOW)
    second, _ = slots(every(seconds=1), reached, 60, NOW + timedelta(seconds=40))
    assert len(second) == 40
    assert second[0] - first[-1] == timedelta(seconds=1)


def test_a_dense_one_that_lost_no_run_waits_for_room() -> None:
    made, reached = slots(every(seconds=1), None, 0, NOW)
    assert slots(every(seconds=1), reached, len(made), NOW) == ([], reached)


def test_one_that_never_fires_within_the_window_is_done_with_up_to_there() -> None:
    made, reached = slots(Plan(ScheduleSpec(cron="0 0 1 1 *")), None, 0, NOW)
    assert made == []
    assert reached == NOW + schedule.TIME_MOST


def test_of_missed_slots_the_latest_alone_is_run() -> None:
    made, _ = slots(every(minutes=5), NOW - timedelta(hours=1), 0, NOW)
    assert made[0] == datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
    assert made[1] == datetime(2026, 3, 1, 12, 5, tzinfo=timezone.utc)


def test_the_latest_is_found_after_a_long_time_as_well() -> None:
    made, _ = slots(every(days=1), NOW - timedelta(days=40), 0, NOW)
    assert made[0] == datetime(2026, 3, 1, tzinfo=timezone.utc)


def test_a_missed_slot_is_not_made_again() -> None:
    assert slots(every(days=1), NOW - timedelta(minutes=1), 3, NOW)[0] == []


def test_all_missed_slots_come_a_hundred_a_step() -> None:
    plan = replace(every(minutes=5), catch_up=CatchUp.ALL)
    made, reached = slots(plan, NOW - timedelta(hours=10), 0, NOW)
    assert (len(made), reached) == (schedule.RUNS_MOST, made[-1])
    more, _ = slots(plan, reached, 0, NOW)
    assert [at for at in more if at <= NOW] == [made[-1] + timedelta(minutes=5 * n) for n in range(1, 21)]


def test_missed_slots_within_a_window_and_none() -> None:
    plan = replace(every(minutes=5), catch_up=CatchUp.WINDOW, window=timedelta(minutes=12))
    made, _ = slots(plan, NOW - timedelta(hours=10), 0, NOW)
    assert [f"{at:%H:%M}" for at in made if at <= NOW] == ["11:50", "11:55", "12:00"]
    assert slots(replace(every(minutes=5), catch_up=CatchUp.NONE), NOW - timedelta(hours=10), 0, NOW)[0][0] > NOW
