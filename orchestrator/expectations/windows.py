"""When something is expected: windows along a schedule and a calendar, and spans of time that only some days count in.

Pure: the clock is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from ..timing.calendars import Calendar
from ..timing.local_clock import instant_of
from ..timing.schedules import ScheduleSpec, next_times, zone_of

_DAY = timedelta(days=1)
#: Slots that are looked at one after the other before a calendar counts as one that never lets any through.
_LOOK_MOST = 5000
_CHUNK = 64


@dataclass(frozen=True)
class Window:
    """One window: what happens in [opens, deadline] meets it, what happens later but before ``closes`` is late."""

    #: The instant of the schedule that it stands for.
    slot: datetime
    opens: datetime
    #: By when it is expected, as it was written; ``deadline`` adds the grace.
    due: datetime
    deadline: datetime
    closes: datetime


@dataclass(frozen=True)
class Timetable:
    """The windows of an expectation by the clock.

    Args:
        early: How long before its slot a window opens.
        by: How long after it it is due, or the local time at which it is: the first one after the slot.
        grace: How much later it may be.
    """

    schedule: ScheduleSpec
    calendar: Calendar
    by: timedelta | time = timedelta(0)
    early: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)

    def windows(self, after: datetime, limit: int, until: datetime | None = None) -> list[Window]:
        """The windows of slots later than ``after``, ascending.

        Args:
            limit: At most so many.
            until: The last instant that a slot may have.
        """
        zone = zone_of(self.schedule.timezone)
        slots = list(islice(self._slots(after, zone), limit + 1))
        found = [self._window(slot, zone) for slot in slots]
        closed = [
            Window(one.slot, one.opens, one.due, one.deadline, max(one.deadline, following.opens))
            for one, following in pairwise(found)
        ]
        if len(found) <= limit:
            closed += found[-1:]
        return [one for one in closed if until is None or one.slot <= until]

    def _slots(self, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        passed_over = 0
        while True:
            chunk = next_times(self.schedule, after, _CHUNK)
            for slot in chunk:
                if self.calendar.counts(slot.astimezone(zone).date()):
                    passed_over = 0
                    yield slot
                else:
                    passed_over += 1
            if len(chunk) < _CHUNK or passed_over > _LOOK_MOST:
                return
            after = chunk[-1]

    def _window(self, slot: datetime, zone: ZoneInfo) -> Window:
        due = _at(slot, self.by, zone) if isinstance(self.by, time) else slot + self.by
        deadline = due + self.grace
        return Window(slot, slot - self.early, due, deadline, deadline + 7 * _DAY)


def _at(slot: datetime, by: time, zone: ZoneInfo) -> datetime:
    """The first instant later than ``slot`` at which clocks in the zone show ``by``."""
    day = slot.astimezone(zone).date()
    for ahead in range(3):
        found = instant_of(datetime.combine(day + ahead * _DAY, by), zone)
        if found > slot:
            return found
    raise AssertionError("a local time comes each day")


def add_counted(start: datetime, span: timedelta, calendar: Calendar, zone: ZoneInfo) -> datetime:
    """The instant at which ``span`` of time has passed since ``start``, days that do not count left out."""
    if len(calendar.weekdays) == 7 and not calendar.holidays:
        return start + span
    at = start.astimezone(timezone.utc)
    for _ in range(_LOOK_MOST):
        day = at.astimezone(zone).date()
        ends = instant_of(datetime.combine(day + _DAY, time()), zone)
        if calendar.counts(day):
            if at + span <= ends:
                return at + span
            span -= ends - at
        at = ends
    return at
