"""Windows along schedules and calendars, clock changes included."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.expectations import BUILT_IN, Calendar, Timetable, add_counted
from orchestrator.timing import calendars
from orchestrator.timing.schedules import ScheduleSpec, parse

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
DAY = timedelta(days=1)
NINE = parse({"cron": "0 9 * * *", "timezone": "Europe/Berlin"})


def local(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=BERLIN).astimezone(UTC)  # type: ignore[misc, arg-type]


class TestCalendars:
    def test_weekdays_holidays_and_days_that_count_all_the_same(self) -> None:
        made = calendars.read(
            {
                "weekdays": ["Mon", "tuesday", "wed", "thu", "fri"],
                "holidays": ["2026-04-03", "12-25"],
                "extra": ["2026-11-28"],
            }
        )
        assert made.counts(date(2026, 11, 23)), "a Monday"
        assert not made.counts(date(2026, 11, 22)), "a Sunday"
        assert not made.counts(date(2026, 4, 3)), "a holiday"
        assert not made.counts(date(2025, 12, 25)), "a holiday of each year"
        assert made.counts(date(2026, 11, 28)), "a Saturday that is worked"

    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ({"weekdays": ["funday"]}, "weekdays"),
            ({"weekdays": []}, "weekdays"),
            ({"holidays": ["2026-02-30"]}, "holidays"),
            ({"holidays": ["yesterday"]}, "holidays"),
            ({"extra": ["2026-1-1"]}, "extra"),
        ],
    )
    def test_what_is_no_calendar_is_refused_by_field(self, document: dict[str, object], field: str) -> None:
        with pytest.raises(InvalidInput, match=field) as caught:
            calendars.read(document)
        assert set(caught.value.errors) == {field}

    def test_the_29th_of_february_may_be_a_holiday(self) -> None:
        assert not calendars.read({"holidays": ["02-29"]}).counts(date(2028, 2, 29))


class TestTimetables:
    def test_by_a_local_time_on_business_days(self) -> None:
        closed = calendars.read({"weekdays": ["mon", "tue", "wed", "thu", "fri"], "holidays": ["2026-11-24"]})
        table = Timetable(NINE, closed, by=time(9, 15), grace=timedelta(minutes=5))
        found = table.windows(local(2026, 11, 20, 12), 3)
        assert [one.slot for one in found] == [local(2026, 11, 23, 9), local(2026, 11, 25, 9), local(2026, 11, 26, 9)]
        first = found[0]
        assert (first.opens, first.due, first.deadline) == (
            first.slot,
            local(2026, 11, 23, 9, 15),
            local(2026, 11, 23, 9, 20),
        )
        assert first.closes == found[1].opens, "until the next window opens it is late"

    def test_a_night_ends_on_the_next_day(self) -> None:
        evening = parse({"cron": "0 22 * * *", "timezone": "Europe/Berlin"})
        [night] = Timetable(evening, BUILT_IN["every-day"], by=time(6)).windows(local(2026, 11, 20, 12), 1)
        assert (night.opens, night.due) == (local(2026, 11, 20, 22), local(2026, 11, 21, 6))

    def test_local_times_stay_when_the_clocks_change(self) -> None:
        table = Timetable(NINE, Calendar(), by=time(9, 15))
        before, after = table.windows(datetime(2026, 3, 28, 0, tzinfo=UTC), 2)
        assert (before.due.hour, after.due.hour) == (8, 7), "in UTC"
        assert after.slot - before.slot == timedelta(hours=23)

    def test_a_time_that_is_skipped_and_one_that_comes_twice(self) -> None:
        midnight = parse({"cron": "0 0 * * *", "timezone": "Europe/Berlin"})
        [spring] = Timetable(midnight, Calendar(), by=time(2, 30)).windows(local(2026, 3, 28, 12), 1)
        assert spring.due == datetime(2026, 3, 29, 1, tzinfo=UTC), "the end of the gap"
        [autumn] = Timetable(midnight, Calendar(), by=time(2, 30)).windows(local(2026, 10, 24, 12), 1)
        assert autumn.due == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of the two"

    def test_a_calendar_that_no_day_is_in_ends(self) -> None:
        never = Calendar(frozenset(), frozenset(), frozenset({"2020-01-01"}))
        assert Timetable(NINE, never, by=DAY).windows(local(2026, 1, 1), 3) == []

    def test_until_is_the_last_slot(self) -> None:
        table = Timetable(NINE, Calendar(), by=timedelta(minutes=15))
        assert len(table.windows(local(2026, 11, 1), 100, local(2026, 11, 7, 9))) == 7

    @settings(max_examples=30)
    @given(
        st.sampled_from(["*/15 * * * *", "0 9 * * 1-5", "30 2 * * *", "0 0 1 * *"]),
        st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
        st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        st.one_of(st.times().map(lambda t: t.replace(second=0, microsecond=0)), st.timedeltas(timedelta(0), 2 * DAY)),
        st.timedeltas(timedelta(0), DAY),
    )
    def test_windows_are_in_order_and_the_same_wherever_one_begins(
        self, cron: str, zone: str, after: datetime, by: time | timedelta, grace: timedelta
    ) -> None:
        spec = ScheduleSpec(cron=cron, timezone=zone)
        table = Timetable(spec, BUILT_IN["weekdays"], by=by, grace=grace)
        found = table.windows(after, 8)
        assert len(found) == 8
        for one, following in pairwise(found):
            assert one.slot < following.slot
            assert one.opens <= one.due <= one.deadline <= one.closes
            assert one.closes == max(one.deadline, following.opens)
            assert one.slot.astimezone(ZoneInfo(zone)).weekday() < 5
        assert table.windows(found[3].slot, 4) == found[4:]


class TestTimeThatCounts:
    def test_a_weekend_does_not(self) -> None:
        friday = local(2026, 11, 20, 18)
        assert add_counted(friday, DAY, BUILT_IN["weekdays"], BERLIN) == local(2026, 11, 23, 18)
        assert add_counted(local(2026, 11, 21, 12), DAY, BUILT_IN["weekdays"], BERLIN) == local(2026, 11, 24)

    def test_without_a_calendar_it_is_elapsed_time(self) -> None:
        at = local(2026, 10, 24, 12)
        assert add_counted(at, DAY, Calendar(), BERLIN) == at + DAY

    @given(
        st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        st.timedeltas(timedelta(seconds=1), 5 * DAY),
    )
    def test_the_more_is_expected_the_later_it_is(self, at: datetime, span: timedelta) -> None:
        weekdays = BUILT_IN["weekdays"]
        reached = add_counted(at, span, weekdays, BERLIN)
        assert at + span <= reached <= at + span + 4 * DAY
        assert add_counted(at, span + timedelta(hours=1), weekdays, BERLIN) > reached
