"""Dates of iCalendar files (RFC 5545), such as the public holidays that many offices publish. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from dateutil.rrule import rrulestr
from icalendar import Calendar as File

from ..errors import InvalidInput

#: Bytes of a file.
TEXT_MAX = 1 << 20
#: How far events that recur are followed, beside those that do so on a date of each year.
YEARS = 10
_DAY = timedelta(days=1)
#: Longest event, in days.
_SPAN_MAX = 366


def read(text: str, today: date) -> list[str]:
    """The dates of its events, sorted: ``YYYY-MM-DD``; ``MM-DD`` of those that come on one date each year.

    An event covers the days from its start to its end; one that has times counts for the days it touches, as they are
    in its own time zone. Other rules of recurrence are followed from a year ago to :data:`YEARS` ahead.

    Args:
        text: The file.
        today: Where "ago" and "ahead" are counted from.

    Raises:
        InvalidInput: It is no iCalendar file, or an event of it cannot be understood.
    """
    if len(text) > TEXT_MAX:
        raise _refused(f"has {len(text)} characters: at most {TEXT_MAX} are taken")
    try:
        events = list(File.from_ical(text).walk("VEVENT"))
    except (ValueError, IndexError, KeyError, AttributeError) as error:
        raise _refused(f"is no iCalendar file: {error}") from None
    if not events:
        raise _refused("has no events")
    found: set[str] = set()
    for event in events:
        try:
            found.update(_dates(event, today))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise _refused(f"the event {str(event.get('SUMMARY', '')) or '?'} cannot be understood: {error}") from None
    return sorted(found)


def _dates(event: Any, today: date) -> Iterator[str]:
    if str(event.get("STATUS", "")).upper() == "CANCELLED":
        return
    first, days = _span(event)
    rule = event.get("RRULE")
    if rule is None:
        starts = [first, *_listed(event, "RDATE")]
    elif _is_yearly(rule) and not event.get("EXDATE"):
        yield from (f"{first + _DAY * n:%m-%d}" for n in range(days))
        return
    else:
        starts = [*_recurring(first, rule, today), *_listed(event, "RDATE")]
    left_out = set(_listed(event, "EXDATE"))
    for start in starts:
        if start not in left_out:
            yield from ((start + _DAY * n).isoformat() for n in range(days))


def _span(event: Any) -> tuple[date, int]:
    """The first day, and how many there are."""
    begin = event["DTSTART"].dt
    end = event["DTEND"].dt if "DTEND" in event else None
    if end is None:
        length = event["DURATION"].dt if "DURATION" in event else _DAY if not isinstance(begin, datetime) else None
        end = begin + length if length else begin
    # The end of an event is where it is over: midnight belongs to the day before.
    last = _day(end - timedelta(microseconds=1)) if isinstance(end, datetime) and end > begin else _day(end)
    if not isinstance(end, datetime) and end > begin:
        last = end - _DAY
    days = (last - _day(begin)).days + 1
    if not 1 <= days <= _SPAN_MAX:
        raise ValueError(f"it goes from {begin} to {end}")
    return _day(begin), days


def _is_yearly(rule: Any) -> bool:
    """Whether it comes on its own date each year, for ever."""
    parts = {str(name).upper(): value for name, value in rule.items()}
    plain = parts.keys() <= {"FREQ", "INTERVAL", "WKST"}
    return plain and parts["FREQ"] == ["YEARLY"] and parts.get("INTERVAL", [1]) == [1]


def _recurring(first: date, rule: Any, today: date) -> list[date]:
    begin = datetime(first.year, first.month, first.day)
    text = rule.to_ical().decode().replace("Z", "")
    frequency = str(rule.get("FREQ", [""])[0]).upper()
    if frequency not in {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}:
        raise ValueError(f"FREQ={frequency} is none of DAILY, WEEKLY, MONTHLY and YEARLY")
    start, end = (datetime(today.year + years, today.month, 1) for years in (-1, YEARS))
    return [at.date() for at in rrulestr(text, dtstart=begin).between(start, end, inc=True)]


def _listed(event: Any, name: str) -> list[date]:
    given = event.get(name, [])
    return [_day(item.dt) for group in (given if isinstance(given, list) else [given]) for item in group.dts]


def _day(at: date) -> date:
    return at.date() if isinstance(at, datetime) else at


def _refused(problem: str) -> InvalidInput:
    return InvalidInput(f"ical: {problem}", {"ical": [problem]})
