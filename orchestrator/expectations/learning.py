"""Learns from when things happened what may be expected of them. Pure, and deliberately simple: quantiles, no model.

Two shapes are looked for: once or a few times a day, at about the same hour, on the same weekdays; and again and again
with gaps of about the same length. What fits neither, or was seen too seldom, gives nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from .sentences import span

#: Least days, or gaps, that something is learned from.
DAYS_LEAST, GAPS_LEAST = 5, 20
#: Share of the days of a weekday on which it has to have happened for that weekday to count.
_USUAL = 0.8
#: Widest that the hours of a day may lie apart, and longest gap, that is a pattern.
_SPREAD_MAX, _GAP_MAX = timedelta(hours=6), timedelta(hours=12)
_DAY = timedelta(days=1)
_QUARTER = 15
_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Learned:
    """A pattern: the part of a document that says when, and how sure it is."""

    when: dict[str, Any]
    #: In words: what was seen.
    seen: str
    samples: int
    #: Share of the past that would have met it.
    met: float


def learn(times: Sequence[datetime], since: datetime, now: datetime, zone: ZoneInfo) -> Learned | None:
    """What may be expected of something that happened at ``times``; None where there is no pattern.

    Args:
        times: Within [since, now], in any order.
        zone: Whose days and hours to go by.
    """
    ordered = sorted(times)
    return _daily(ordered, since, now, zone) or _steady(ordered)


def _daily(times: Sequence[datetime], since: datetime, now: datetime, zone: ZoneInfo) -> Learned | None:
    firsts: dict[date, datetime] = {}
    for at in times:
        firsts.setdefault(at.astimezone(zone).date(), at)
    if len(firsts) < DAYS_LEAST or len(times) > 3 * len(firsts):
        return None
    whole = _whole_days(since, now, zone)
    weekdays = [day for day in range(7) if _is_usual(day, whole, firsts)]
    minutes = sorted(_minute(at, zone) for day, at in firsts.items() if day.weekday() in weekdays)
    if len(minutes) < DAYS_LEAST or timedelta(minutes=minutes[-1] - minutes[0]) > _SPREAD_MAX:
        return None
    first, last = minutes[0], _quantile(minutes, 0.99)
    opens = first // _QUARTER * _QUARTER
    due = math.ceil((last + max(5, (last - first) / 10)) / _QUARTER) * _QUARTER
    if due >= 24 * 60:
        return None
    days = "*" if len(weekdays) == 7 else ",".join(_NAMES[day] for day in weekdays)
    cron = f"{opens % 60} {opens // 60} * * {days}"
    expected = [day for day in whole if day.weekday() in weekdays]
    met = sum(1 for day in expected if day in firsts and _minute(firsts[day], zone) <= due) / max(1, len(expected))
    seen = f"between {_clock(first)} and {_clock(minutes[-1])}" + ("" if days == "*" else f" on {days}")
    by = f"{time(due // 60, due % 60):%H:%M}"
    return Learned({"every": {"cron": cron, "timezone": str(zone)}, "by": by}, seen, len(minutes), round(met, 3))


def _whole_days(since: datetime, now: datetime, zone: ZoneInfo) -> list[date]:
    """The days that lie wholly within."""
    first, last = since.astimezone(zone).date() + _DAY, now.astimezone(zone).date() - _DAY
    return [first + number * _DAY for number in range((last - first).days + 1)]


def _is_usual(weekday: int, whole: Sequence[date], firsts: dict[date, datetime]) -> bool:
    days = [day for day in whole if day.weekday() == weekday]
    return bool(days) and sum(day in firsts for day in days) >= _USUAL * len(days)


def _steady(times: Sequence[datetime]) -> Learned | None:
    gaps = sorted((later - earlier).total_seconds() for earlier, later in pairwise(times) if later > earlier)
    if len(gaps) < GAPS_LEAST:
        return None
    middle, most = _quantile(gaps, 0.5), _quantile(gaps, 0.99)
    if most > 4 * middle or most > _GAP_MAX.total_seconds():
        return None
    within = _rounded(most * 1.25)
    met = sum(gap <= within for gap in gaps) / len(gaps)
    seen = f"about every {_words(middle)}, at most {_words(gaps[-1])} apart"
    return Learned({"within": within}, seen, len(gaps), round(met, 3))


def _words(seconds: float) -> str:
    """A duration in words, in whole minutes where it is longer than some."""
    return span(timedelta(seconds=math.ceil(seconds / 60) * 60 if seconds > 300 else math.ceil(seconds)))


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _rounded(seconds: float) -> int:
    """To a length that people would write: whole minutes or hours where it is longer."""
    unit = 1 if seconds < 60 else 60 if seconds < 3600 else 900
    return math.ceil(seconds / unit) * unit


def _minute(at: datetime, zone: ZoneInfo) -> int:
    local = at.astimezone(zone)
    return local.hour * 60 + local.minute


def _clock(minute: float) -> str:
    return f"{int(minute) // 60:02}:{int(minute) % 60:02}"
