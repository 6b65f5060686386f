"""Calendars: which days count. Weekdays and lists of dates; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..errors import InvalidInput

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
#: Most dates in one list of a calendar.
DATES_MAX = 2000

_DATE = re.compile(r"(?:(\d{4})-)?(\d{2})-(\d{2})")
#: A leap year: the 29th of February is a date of it.
_SOME_YEAR = 2024


@dataclass(frozen=True)
class Calendar:
    """The days that count: those of ``weekdays`` that are no holidays, and those of ``extra``.

    Dates are ``YYYY-MM-DD``, or ``MM-DD`` for each year.
    """

    weekdays: frozenset[int] = frozenset(range(7))
    holidays: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()

    @property
    def all_count(self) -> bool:
        """Whether there is no day that does not."""
        return len(self.weekdays) == 7 and not self.holidays - self.extra

    def counts(self, day: date) -> bool:
        """Whether a day counts; what ``extra`` names does, holiday or not."""
        names = {day.isoformat(), day.isoformat()[5:]}
        if names & self.extra:
            return True
        return day.weekday() in self.weekdays and not names & self.holidays


#: Calendars that are there from the start.
BUILT_IN = {"every-day": Calendar(), "weekdays": Calendar(frozenset(range(5)))}


def read(document: Mapping[str, Any]) -> Calendar:
    """A calendar from ``weekdays`` (``mon`` ... ``sun``; all when left out), ``holidays`` and ``extra`` (dates).

    Raises:
        InvalidInput: Names the field and the fix.
    """
    errors: dict[str, list[str]] = {}
    weekdays = _weekdays(document.get("weekdays"), errors)
    holidays = _dates("holidays", document.get("holidays") or (), errors)
    extra = _dates("extra", document.get("extra") or (), errors)
    if errors:
        field, (problem, *_) = next(iter(errors.items()))
        raise InvalidInput(f"{field}: {problem}", errors)
    return Calendar(weekdays, holidays, extra)


def _weekdays(given: Any, errors: dict[str, list[str]]) -> frozenset[int]:
    if given is None:
        return frozenset(range(7))
    found = {str(name).strip().lower()[:3] for name in given}
    if not found or not found <= set(WEEKDAYS):
        errors["weekdays"] = [f"Give some of {', '.join(WEEKDAYS)}."]
    return frozenset(WEEKDAYS.index(name) for name in found if name in WEEKDAYS)


def _dates(field: str, given: Sequence[Any], errors: dict[str, list[str]]) -> frozenset[str]:
    if len(given) > DATES_MAX:
        errors[field] = [f"Has {len(given)} dates: at most {DATES_MAX}."]
        return frozenset()
    found = [item.isoformat() if isinstance(item, date) else str(item).strip() for item in given]
    if wrong := [text for text in found if not _is_date(text)]:
        errors[field] = [f"{wrong[0]!r} is no date: write 2026-12-25, or 12-25 for each year."]
    return frozenset(found)


def _is_date(text: str) -> bool:
    parts = _DATE.fullmatch(text)
    if parts is None:
        return False
    try:
        date(int(parts[1] or _SOME_YEAR), int(parts[2]), int(parts[3]))
    except ValueError:
        return False
    return True
