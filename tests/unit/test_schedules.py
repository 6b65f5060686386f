"""Schedules: the nights the clocks change, phases, bounds, and what is refused (pain 15)."""

from __future__ import annotations

import itertools
import zoneinfo
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ScheduleError
from orchestrator.timing.schedules import ScheduleSpec, next_times, parse

UTC = timezone.utc
BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(after: str, until: str, **fields: Any) -> list[str]:
    """The instants of a schedule between two UTC times, as short texts."""
    found = next_times(parse(fields), at(after), 1000, at(until))
    return [f"{instant:%m-%d %H:%M}" for instant in found]


def local(after: str, until: str, **fields: Any) -> list[str]:
    found = next_times(parse(fields), at(after), 1000, at(until))
    zone = zoneinfo.ZoneInfo(fields["timezone"])
    return [f"{instant.astimezone(zone):%d %H:%M}" for instant in found]


@pytest.mark.parametrize(
    ("zone", "after", "until", "expected"),
    [
        # Spring: 02:30 is skipped, and the gap ends at 03:00 summer time.
        (BERLIN, "2026-03-28T00:00", "2026-03-31T00:00", ["03-28 01:30", "03-29 01:00", "03-30 00:30"]),
        (NEW_YORK, "2026-03-07T00:00", "2026-03-10T00:00", ["03-07 07:30", "03-08 07:00", "03-09 06:30"]),
        # Autumn: 02:30 comes twice, and the first counts.
        (BERLIN, "2026-10-24T00:00", "2026-10-27T00:00", ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
        # In New York the doubled hour is the one before, so 02:30 comes once, in winter time.
        (NEW_YORK, "2026-10-31T00:00", "2026-11-03T00:00", ["10-31 06:30", "11-01 07:30", "11-02 07:30"]),
    ],
)
def test_a_fixed_hour_fires_once_on_every_day_of_a_shift(
    zone: str, after: str, until: str, expected: list[str]
) -> None:
    assert times(after, until, cron="30 2 * * *", timezone=zone) == expected
    assert times(after, until, rrule="FREQ=DAILY;BYHOUR=2;BYMINUTE=30", timezone=zone) == expected
    assert times(after, until, interval="1d", anchor="2026-01-01T02:30", timezone=zone) == expected


def test_new_yorks_doubled_hour_counts_once() -> None:
    found = times("2026-10-31T00:00", "2026-11-03T00:00", cron="30 1 * * *", timezone=NEW_YORK)
    assert found == ["10-31 05:30", "11-01 05:30", "11-02 06:30"]


@pytest.mark.parametrize(
    ("zone", "after", "until"),
    [
        (BERLIN, "2026-03-27T00:00", "2026-04-01T00:00"),
        (BERLIN, "2026-10-23T00:00", "2026-10-28T00:00"),
        (NEW_YORK, "2026-03-06T00:00", "2026-03-11T00:00"),
        (NEW_YORK, "2026-10-30T00:00", "2026-11-04T00:00"),
    ],
)
def test_nine_in_the_morning_stays_nine(zone: str, after: str, until: str) -> None:
    found = local(after, until, cron="0 9 * * *", timezone=zone)
    assert len(found) == 5
    assert {text[3:] for text in found} == {"09:00"}


@pytest.mark.parametrize("cron", ["*/15 * * * *", "*/15 */1 * * *", "*/15 0-23 * * *"])
@pytest.mark.parametrize(
    ("zone", "night"),
    [
        (BERLIN, "2026-03-28T18:00"),
        (BERLIN, "2026-10-24T18:00"),
        (NEW_YORK, "2026-03-08T00:00"),
        (NEW_YORK, "2026-11-01T00:00"),
    ],
)
def test_every_quarter_of_an_hour_neither_pauses_nor_doubles(zone: str, night: str, cron: str) -> None:
    start = at(night)
    expected = [start + timedelta(minutes=15) * n for n in range(1, 60)]
    assert next_times(parse({"cron": cron, "timezone": zone}), start, 59) == expected
    rule = {"rrule": "FREQ=MINUTELY;INTERVAL=15", "timezone": zone}
    assert next_times(parse(rule), start, 59) == expected


def test_a_rule_for_every_hour_of_one_day_fires_in_both_of_its_doubled_hours() -> None:
    found = times("2026-10-24T00:00", "2026-10-26T12:00", cron="15 * 25 10 *", timezone=BERLIN)
    assert len(found) == 25
    # The search may start within the doubled hour, long before the next match.
    found = times("2026-10-25T00:50", "2026-10-25T01:50", cron="15 * 25 10 *", timezone=BERLIN)
    assert found == ["10-25 01:15"]


def test_several_times_in_the_gap_fire_once_at_its_end() -> None:
    found = times("2026-03-29T00:00", "2026-03-29T06:00", cron="0,15,30,45 2 * * *", timezone=BERLIN)
    assert found == ["03-29 01:00"]
    found = times("2026-03-29T00:00", "2026-03-29T02:00", cron="0 2,3 * * *", timezone=BERLIN)
    assert found == ["03-29 01:00"]


def test_an_interval_of_an_hour_is_3600_seconds_through_the_shift() -> None:
    for night in ("2026-03-28T22:00", "2026-10-24T22:00"):
        found = next_times(parse({"interval": 3600, "timezone": BERLIN}), at(night), 10)
        assert found == [at(night) + timedelta(hours=n) for n in range(1, 11)]


def test_an_interval_of_days_keeps_the_clock_time() -> None:
    fields = {"interval": "2d", "anchor": "2026-03-27T08:00", "timezone": BERLIN}
    assert local("2026-03-26T00:00", "2026-04-01T00:00", **fields) == ["27 08:00", "29 08:00", "31 08:00"]


def test_an_anchor_is_a_phase_for_an_interval_and_a_start_for_an_rrule() -> None:
    assert times("2026-01-01T00:00", "2026-01-01T02:00", interval="45m", anchor="2030-01-01T00:10:00Z") == [
        "01-01 00:10",
        "01-01 00:55",
        "01-01 01:40",
    ]
    assert times("2026-01-01T00:00", "2026-01-04T00:00", rrule="FREQ=DAILY", anchor="2026-01-03T06:00:00Z") == [
        "01-03 06:00"
    ]


def test_without_an_anchor_weeks_start_on_monday_at_midnight() -> None:
    assert local("2026-06-01T12:00", "2026-06-16T00:00", interval="1w", timezone=BERLIN) == ["08 00:00", "15 00:00"]
    assert local("2026-06-01T12:00", "2026-06-16T00:00", rrule="FREQ=WEEKLY", timezone=BERLIN) == [
        "08 00:00",
        "15 00:00",
    ]


def test_rrule_bounds_and_dates() -> None:
    fields = {"rrule": "FREQ=DAILY;COUNT=3", "anchor": "2026-05-01T10:00:00Z"}
    assert times("2026-05-01T10:00", "2027-01-01T00:00", **fields) == ["05-02 10:00", "05-03 10:00"]
    fields = {
        "rrule": "RRULE:FREQ=DAILY;UNTIL=20260504T080000Z\nEXDATE:20260503T100000\nRDATE:20260503T150000Z",
        "anchor": "2026-05-01T10:00",
        "timezone": BERLIN,
    }
    assert times("2026-05-01T10:00", "2027-01-01T00:00", **fields) == ["05-02 08:00", "05-03 15:00", "05-04 08:00"]


def test_an_old_anchor_costs_nothing_and_keeps_its_phase() -> None:
    fields = {"rrule": "FREQ=MINUTELY;INTERVAL=7", "anchor": "1999-01-01T00:00:00Z"}
    (found,) = next_times(parse(fields), at("2026-10-25T00:00"), 1)
    assert (found - at("1999-01-01T00:00")) % timedelta(minutes=7) == timedelta(0)
    assert found - at("2026-10-25T00:00") <= timedelta(minutes=7)


def test_cron_names_aliases_and_joined_days() -> None:
    assert times("2026-07-01T00:00", "2026-07-08T00:00", cron="0 6 * jul mon-wed") == [
        "07-01 06:00",
        "07-06 06:00",
        "07-07 06:00",
    ]
    assert times("2026-07-01T00:00", "2026-07-02T00:00", cron="@daily") == ["07-02 00:00"]
    either = times("2026-07-01T00:00", "2026-07-31T00:00", cron="0 0 13 * fri")
    both = times("2026-01-01T00:00", "2026-12-31T00:00", cron="0 0 13 * fri", day_or=False)
    assert len(either) == 6
    assert both == ["02-13 00:00", "03-13 00:00", "11-13 00:00"]


def test_after_is_left_out_and_until_is_let_in() -> None:
    spec = parse({"cron": "0 * * * *"})
    noon = at("2026-01-01T12:00")
    assert next_times(spec, noon, 5, noon + timedelta(hours=1)) == [noon + timedelta(hours=1)]
    assert next_times(spec, noon - timedelta(microseconds=1), 1) == [noon]
    assert next_times(spec, noon + timedelta(microseconds=1), 1) == [noon + timedelta(hours=1)]
    assert next_times(spec, noon, 0) == []
    assert next_times(spec, noon, 5, noon) == []


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({}, "cron", "exactly one"),
    ({"cron": "@daily", "interval": 60}, "interval", "exactly one"),
    ({"cron": "0 0 2 * * *"}, "cron", "seconds and years are not taken"),
    ({"cron": "61 * * * *"}, "cron", "out of range"),
    ({"cron": "0 H * * *"}, "cron", "H and R are not taken"),
    ({"cron": "@reboot"}, "cron", "@hourly"),
    ({"cron": "0 0 30 2 *"}, "cron", "no day"),
    ({"cron": ""}, "cron", "must be a text"),
    ({"cron": "0 9 * * " + "1," * 200}, "cron", "at most 256"),
    ({"cron": "@daily", "day_or": "yes"}, "day_or", "true or false"),
    ({"cron": "@daily", "timezone": "Europe/Berlni"}, "timezone", "did you mean Europe/Berlin"),
    ({"cron": "@daily", "timezone": "../../etc/passwd"}, "timezone", "no IANA time zone"),
    ({"interval": 0}, "interval", "at least|between"),
    ({"interval": "soon"}, "interval", "1h30m"),
    ({"interval": float("nan")}, "interval", "1h30m"),
    ({"interval": True}, "interval", "seconds"),
    ({"interval": 1e12}, "interval", "3660 days"),
    ({"interval": 60, "anchor": "yesterday"}, "anchor", "2026-01-31T09:00:00Z"),
    ({"interval": 60, "anchor": "0001-01-01T00:00:00Z"}, "anchor", "1900"),
    ({"rrule": "FREQ=SECONDLY"}, "rrule", "FREQ must be"),
    ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "rrule", "INTERVAL=0"),
    ({"rrule": "FREQ=DAILY;COUNT=100000"}, "rrule", "COUNT"),
    ({"rrule": "FREQ=DAILY;COUNT=2;UNTIL=20270101"}, "rrule", "not both"),
    ({"rrule": "FREQ=DAILY;COLOUR=RED"}, "rrule", "FREQ=WEEKLY;BYDAY"),
    ({"rrule": "FREQ=DAILY;UNTIL=20269999T000000Z"}, "rrule", "FREQ=WEEKLY;BYDAY"),
    ({"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=DAILY"}, "rrule", "anchor"),
    ({"rrule": "EXDATE:20260101T000000"}, "rrule", "one RRULE"),
    ({"rrule": "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30"}, "rrule", "no day"),
    ({"rrule": "X" * 6501}, "rrule", "at most 6500"),
    ({"crn": "@daily"}, "crn", "no field of a schedule"),
]


@pytest.mark.parametrize(("fields", "named", "fix"), REFUSED, ids=[str(case[0])[:50] for case in REFUSED])
def test_what_cannot_be_understood_is_refused_by_field(fields: dict[str, Any], named: str, fix: str) -> None:
    with pytest.raises(ScheduleError, match=fix) as caught:
        parse(fields)
    assert named in caught.value.errors
    assert str(caught.value).startswith(f"{named}: ")
    assert "\n" not in str(caught.value)


def test_a_schedule_survives_being_written() -> None:
    for fields in ({"cron": "0 9 * * 1-5", "day_or": False}, {"interval": "90m", "anchor": "2026-01-01T09:30"}):
        spec = parse({**fields, "timezone": BERLIN})
        assert parse(spec.write()) == spec


def test_a_spec_that_was_never_checked_is_refused_when_it_is_used() -> None:
    with pytest.raises(ScheduleError):
        next_times(ScheduleSpec(), at("2026-01-01T00:00"), 1)
    with pytest.raises(ScheduleError):
        next_times(ScheduleSpec(cron="nonsense"), at("2026-01-01T00:00"), 1)


MINUTES = st.sampled_from(["0", "30", "*/15", "7,52", "*"])
HOURS = st.sampled_from(["*", "2", "1-3", "*/2", "0,2,23"])
DAYS = st.sampled_from(["*", "1", "25", "29", "L"])
ZONES = st.sampled_from([BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe", "Pacific/Apia", "America/Havana"])
FIELDS = st.one_of(
    st.builds(lambda minute, hour, day: {"cron": f"{minute} {hour} {day} * *"}, MINUTES, HOURS, DAYS),
    st.builds(lambda seconds: {"interval": seconds}, st.integers(60, 400_000)),
    st.builds(
        lambda unit, step: {"rrule": f"FREQ={unit};INTERVAL={step}"},
        st.sampled_from(["MINUTELY", "HOURLY", "DAILY", "WEEKLY"]),
        st.integers(1, 40),
    ),
)
INSTANTS = st.datetimes(datetime(2011, 12, 1), datetime(2027, 1, 1), timezones=st.just(UTC))


@settings(max_examples=150)
@given(FIELDS, ZONES, INSTANTS)
def test_times_ascend_and_asking_again_adds_none(fields: dict[str, Any], zone: str, after: datetime) -> None:
    spec = parse({**fields, "timezone": zone})
    found = next_times(spec, after, 40)
    assert len(found) == 40
    assert found[0] > after
    assert all(early < late for early, late in itertools.pairwise(found))
    # From any of them on, the rest follows: nothing is added, left out or moved by when one asks.
    for place in (0, 7, 38):
        assert next_times(spec, found[place], 39 - place) == found[place + 1 :]
    assert next_times(spec, after, 40, found[9]) == found[:10]


@settings(max_examples=100)
@given(MINUTES, ZONES, INSTANTS)
def test_a_cron_for_every_hour_never_rests_longer_than_its_step(minute: str, zone: str, after: datetime) -> None:
    found = next_times(parse({"cron": f"{minute} * * * *", "timezone": zone}), after, 60)
    longest = max(late - early for early, late in itertools.pairwise(found))
    # Lord Howe moves by half an hour, so that the local clock shows one full hour later or earlier by that.
    slack = timedelta(minutes=30) if zone == "Australia/Lord_Howe" else timedelta(0)
    assert longest <= timedelta(hours=1) + slack
