"""How schedules are gone by: reading, bounds, days, jitter."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput, ScheduleError
from orchestrator.timing import icalendars, plans
from orchestrator.timing.calendars import BUILT_IN, Calendar
from orchestrator.timing.plans import CatchUp, Overlap

DAILY = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}
MONDAY = datetime(2026, 11, 23, tzinfo=timezone.utc)


def test_what_is_written_is_read_back() -> None:
    document = {
        **DAILY, "start": "2026-12-01T00:00:00+01:00", "end": "2027-12-01T00:00:00", "calendar": "office",
        "skip_dates": ["12-25", "2026-12-31"], "jitter": "90s", "catch_up": "6h", "overlap": "queue-one",
        "pause_on_failure": True, "note": " owner: Ann ",
    }  # fmt: skip
    plan = plans.read(document)
    assert (plan.catch_up, plan.window, plan.overlap) == (CatchUp.WINDOW, timedelta(hours=6), Overlap.QUEUE_ONE)
    assert plan.end == datetime(2027, 11, 30, 23, tzinfo=timezone.utc), "local to the schedule's zone"
    assert plan.note == "owner: Ann"
    assert plans.read(plan.write()) == plan
    assert plans.read(plan.brief()) == plan
    assert plans.read(DAILY).brief() == DAILY


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("start", "soon", "2026-01-31T09:00:00Z"),
        ("end", "2020-01-01T00:00:00Z", "lies before start"),
        ("calendar", "a b", "name of a calendar"),
        ("skip_dates", "2026-12-25", "a list of dates"),
        ("skip_dates", ["2026-13-01"], "is no date"),
        ("jitter", "often", "is no duration"),
        ("jitter", "2d", "between 0 and 1 days"),
        ("jitter", True, "is no duration"),
        ("catch_up", "newest", "latest, none, all"),
        ("catch_up", -5, "between 0 and"),
        ("overlap", "cancel", "cancel-other"),
        ("pause_on_failure", "yes", "true or false"),
        ("note", "x" * 501, "at most 500"),
    ],
)
def test_what_cannot_be_understood_names_field_and_fix(field: str, value: Any, hint: str) -> None:
    with pytest.raises(ScheduleError, match=hint) as caught:
        plans.read({**DAILY, "start": "2026-01-01T00:00:00Z", field: value})
    assert list(caught.value.errors) == [field]


def test_bounds_are_part_of_it() -> None:
    plan = plans.read({"cron": "0 * * * *", "start": "2026-11-24T10:00:00Z", "end": "2026-11-24T12:00:00Z"})
    assert [at.hour for at in plans.slots(plan, Calendar(), MONDAY, 10)] == [10, 11, 12]
    assert plans.slots(plan, Calendar(), plan.end or MONDAY, 10) == []


def test_days_that_do_not_count_are_left_out() -> None:
    plan = plans.read({**DAILY, "calendar": "weekdays", "skip_dates": ["11-26"]})
    days = [at.day for at in plans.slots(plan, BUILT_IN["weekdays"], MONDAY, 6)]
    assert days == [23, 24, 25, 27, 30, 1]


def test_a_day_is_that_of_the_schedules_zone() -> None:
    """Half past midnight on Saturday in Auckland is still Friday in UTC."""
    plan = plans.read({"cron": "30 0 * * *", "timezone": "Pacific/Auckland", "calendar": "weekdays"})
    found = plans.slots(plan, BUILT_IN["weekdays"], MONDAY, 5)
    assert [at.strftime("%a") for at in found] == ["Mon", "Tue", "Wed", "Thu", "Sun"]


def test_a_calendar_without_days_ends() -> None:
    plan = plans.read({"cron": "* * * * *", "calendar": "never"})
    assert plans.slots(plan, Calendar(frozenset()), MONDAY, 1) == []


@settings(max_examples=60, deadline=None)
@given(
    cron=st.sampled_from(["*/7 * * * *", "0 9 * * *", "30 2 * * 1,3", "0 0 1 * *", "15 23 * * *"]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    skipped=st.lists(st.dates(date(2026, 10, 20), date(2026, 11, 10)), max_size=6),
)
def test_slots_are_the_rules_on_days_that_count(
    cron: str, zone: str, weekdays: frozenset[int], skipped: list[date]
) -> None:
    plan = plans.read({"cron": cron, "timezone": zone, "skip_dates": [day.isoformat() for day in skipped]})
    start = datetime(2026, 10, 20, tzinfo=timezone.utc)
    until, days = start + timedelta(days=20), Calendar(weekdays)
    local = plans.zone_of(zone)
    wanted = [
        at
        for at in plans.next_times(plan.rule, start, 100_000, until)
        if at.astimezone(local).weekday() in weekdays and at.astimezone(local).date() not in skipped
    ]
    assert plans.slots(plan, days, start, 100_000, until) == wanted


def test_jitter_differs_by_slot_and_by_schedule_and_never_by_time() -> None:
    plan = plans.read({**DAILY, "jitter": "10m"})
    slots = plans.slots(plan, Calendar(), MONDAY, 200)
    late = [plans.due(plan, "a", slot) - slot for slot in slots]
    assert late == [plans.due(plan, "a", slot) - slot for slot in slots]
    assert len(set(late)) > 190
    assert all(timedelta(0) <= item < timedelta(minutes=10) for item in late)
    assert sum(late, timedelta(0)) / len(late) == pytest.approx(timedelta(minutes=5), abs=timedelta(minutes=1))  # type: ignore[arg-type]
    assert late != [plans.due(plan, "b", slot) - slot for slot in slots]
    assert plans.due(plans.read(DAILY), "a", MONDAY) == MONDAY


def ical(*events: str) -> str:
    body = "".join(f"BEGIN:VEVENT\nUID:{n}\nSUMMARY:x\n{event}\nEND:VEVENT\n" for n, event in enumerate(events))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{body}END:VCALENDAR\n"


@pytest.mark.parametrize(
    ("event", "dates"),
    [
        ("DTSTART;VALUE=DATE:20261224", ["2026-12-24"]),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", ["2026-12-24", "2026-12-25", "2026-12-26"]),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:P2D", ["2026-12-24", "2026-12-25"]),
        ("DTSTART;VALUE=DATE:20001225\nRRULE:FREQ=YEARLY", ["12-25"]),
        (
            "DTSTART;VALUE=DATE:20260504\nRRULE:FREQ=WEEKLY;COUNT=3\nEXDATE;VALUE=DATE:20260511",
            ["2026-05-04", "2026-05-18"],
        ),
        ("DTSTART;TZID=Europe/Berlin:20270303T180000\nDTEND;TZID=Europe/Berlin:20270304T000000", ["2027-03-03"]),
        (
            "DTSTART;TZID=Europe/Berlin:20270303T180000\nDTEND;TZID=Europe/Berlin:20270304T010000",
            ["2027-03-03", "2027-03-04"],
        ),
        ("DTSTART:20270303T233000Z", ["2027-03-03"]),
        ("DTSTART;VALUE=DATE:20260504\nRDATE;VALUE=DATE:20260601", ["2026-05-04", "2026-06-01"]),
        ("DTSTART;VALUE=DATE:20260504\nSTATUS:CANCELLED", []),
    ],
)  # fmt: skip
def test_dates_of_icalendar_files(event: str, dates: list[str]) -> None:
    assert icalendars.read(ical(event), date(2026, 6, 1)) == dates


def test_a_rule_is_followed_for_years() -> None:
    found = icalendars.read(
        ical("DTSTART;VALUE=DATE:20001123\nRRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH"), date(2026, 6, 1)
    )
    assert found[:3] == ["2025-11-27", "2026-11-26", "2027-11-25"]
    assert found[-1] == "2035-11-22"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "is no iCalendar file"),
        ("holidays: none", "is no iCalendar file"),
        (ical(), "has no events"),
        (ical("DTSTART;VALUE=DATE:2026"), "cannot be understood"),
        (ical("DTSTART;VALUE=DATE:20260504\nDTEND;VALUE=DATE:20290504"), "cannot be understood"),
        (ical("DTSTART:20260504T100000Z\nRRULE:FREQ=MINUTELY"), "FREQ=MINUTELY"),
        ("x" * (icalendars.TEXT_MAX + 1), "at most"),
    ],
)
def test_what_is_no_icalendar_file_is_refused(text: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match=hint):
        icalendars.read(text, date(2026, 6, 1))
