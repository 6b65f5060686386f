"""How a deployment goes by a schedule: between which bounds, on which days, and what becomes of a slot that comes while
an earlier run goes on, or that nobody took. Pure: no clock, no database.
"""

from __future__ import annotations

import enum
import hashlib
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from .. import clock
from ..errors import InvalidInput, ScheduleError
from . import calendars
from .calendars import Calendar
from .local_clock import instant_of
from .schedules import FIELDS as RULE_FIELDS
from .schedules import ScheduleSpec, next_times, parse, read_instant, zone_of

#: The names of what a schedule has beside its rule.
FIELDS = ("start", "end", "calendar", "skip_dates", "jitter", "catch_up", "overlap", "pause_on_failure", "note")
NOTE_MAX = 500  #: characters

_NAME = re.compile(r"[^\s/]{1,100}")
_JITTER_MAX = timedelta(days=1)
_WINDOW_MAX = timedelta(days=366)
#: How far a calendar is followed along days that do not count.
_LOOK = timedelta(days=5 * 366)
_TICK = timedelta(microseconds=1)


class Overlap(str, enum.Enum):
    """What becomes of a slot while an earlier run of the schedule goes on."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE_ONE = "queue-one"
    QUEUE_ALL = "queue-all"
    CANCEL_OTHER = "cancel-other"


class CatchUp(str, enum.Enum):
    """Which of the slots that nobody took in time are run all the same."""

    LATEST = "latest"
    NONE = "none"
    ALL = "all"
    WINDOW = "window"


@dataclass(frozen=True)
class Plan:
    """A schedule's rule and how it is gone by. :func:`read` checks one.

    Attributes:
        rule: When it fires, without bounds.
        start: The first instant at which it may fire.
        end: The last one.
        calendar: Name of the calendar whose days it fires on; empty: all days.
        skip_dates: Dates on which it does not fire: ``YYYY-MM-DD``, or ``MM-DD`` for each year.
        jitter: Runs begin up to so much later than their slot; each slot always by the same.
        catch_up: Which missed slots are run.
        window: ``catch_up`` as a window: how long after its time a slot is still run.
        overlap: What becomes of a slot while an earlier run goes on.
        pause_on_failure: Whether a run that failed stops the schedule.
        note: What people should know of it.
    """

    rule: ScheduleSpec
    start: datetime | None = None
    end: datetime | None = None
    calendar: str = ""
    skip_dates: tuple[str, ...] = ()
    jitter: timedelta = timedelta(0)
    catch_up: CatchUp = CatchUp.LATEST
    window: timedelta | None = None
    overlap: Overlap = Overlap.ALLOW
    pause_on_failure: bool = False
    note: str = ""

    def write(self) -> dict[str, Any]:
        """The plan as JSON holds it, its rule's fields among them; durations are seconds, instants RFC 3339 texts."""
        return {
            **self.rule.write(),
            "start": None if self.start is None else clock.to_text(self.start),
            "end": None if self.end is None else clock.to_text(self.end),
            "calendar": self.calendar,
            "skip_dates": list(self.skip_dates),
            "jitter": self.jitter.total_seconds(),
            "catch_up": self.catch_up.value if self.window is None else self.window.total_seconds(),
            "overlap": self.overlap.value,
            "pause_on_failure": self.pause_on_failure,
            "note": self.note,
        }

    def brief(self) -> dict[str, Any]:
        """As :meth:`write`, without what is as it is anyway."""
        usual = {**Plan(ScheduleSpec()).write(), "timezone": None}
        return {name: value for name, value in self.write().items() if value != usual[name]}


def read(mapping: Mapping[str, Any]) -> Plan:
    """Check a schedule that comes from outside.

    Args:
        mapping: Any of :data:`FIELDS` and of those of a rule; None means not given. Durations are seconds or texts such
            as ``1h30m``; ``catch_up`` is ``latest``, ``none``, ``all`` or a duration.

    Raises:
        ScheduleError: Names the field and the fix; its ``errors`` hold the same by field.
    """
    rule = parse({name: value for name, value in mapping.items() if name not in FIELDS})
    given = {name: mapping[name] for name in FIELDS if mapping.get(name) is not None}
    zone = zone_of(rule.timezone)
    plan = Plan(
        rule,
        start=read_instant("start", given["start"], zone) if "start" in given else None,
        end=read_instant("end", given["end"], zone) if "end" in given else None,
        calendar=_read_calendar(given.get("calendar", "")),
        skip_dates=_read_dates(given.get("skip_dates", ())),
        jitter=_read_duration("jitter", given.get("jitter", 0), _JITTER_MAX),
        overlap=_read_choice("overlap", given.get("overlap", Overlap.ALLOW.value), Overlap),
        pause_on_failure=_read_flag("pause_on_failure", given.get("pause_on_failure", False)),
        note=_read_note(given.get("note", "")),
    )
    if plan.start is not None and plan.end is not None and plan.end < plan.start:
        raise _error("end", "lies before start")
    return _with_catch_up(plan, given.get("catch_up", CatchUp.LATEST.value))


def slots(plan: Plan, days: Calendar, after: datetime, limit: int, until: datetime | None = None) -> list[datetime]:
    """The next instants at which it fires, in UTC, ascending.

    Args:
        plan: The schedule.
        days: The days of :attr:`Plan.calendar`.
        after: Aware; only later instants are given.
        limit: At most so many.
        until: Aware; the last instant that may be given.
    """
    if plan.start is not None:
        after = max(after, plan.start - _TICK)
    last = min((at for at in (plan.end, until) if at is not None), default=None)
    if days.all_count and not plan.skip_dates:
        return next_times(plan.rule, after, limit, last)
    found: list[datetime] = []
    for slot in _counted(plan, days, after, last):
        if len(found) >= limit:
            break
        found.append(slot)
    return found


def due(plan: Plan, key: str, slot: datetime) -> datetime:
    """When a run of a slot is to begin: up to ``jitter`` later, by as much each time that it is asked for.

    Args:
        plan: The schedule.
        key: What tells it from other schedules, such as its id.
        slot: The slot.
    """
    if not plan.jitter:
        return slot
    digest = hashlib.blake2b(f"{key} {clock.to_text(slot)}".encode(), digest_size=8).digest()
    share = int.from_bytes(digest, "big") / 2**64
    return slot + timedelta(milliseconds=int(plan.jitter.total_seconds() * 1000 * share))


def missed_since(plan: Plan, made_to: datetime, now: datetime) -> datetime:
    """From when on missed slots are looked for; ``now`` when none is caught up."""
    if plan.catch_up is CatchUp.NONE:
        return now
    return made_to if plan.window is None else max(made_to, now - plan.window)


def _counted(plan: Plan, days: Calendar, after: datetime, last: datetime | None) -> Iterator[datetime]:
    """Slots on days that count: a day that does not is left at once, so that no rule is too frequent."""
    zone, closed = zone_of(plan.rule.timezone), Calendar(holidays=frozenset(plan.skip_dates))
    stop = after + _LOOK
    while after < stop:
        found = next_times(plan.rule, after, 1, last)
        if not found:
            return
        (slot,) = found
        day = slot.astimezone(zone).date()
        if days.counts(day) and closed.counts(day):
            yield slot
            after, stop = slot, slot + _LOOK
        else:
            after = max(slot, _midnight(day + timedelta(days=1), zone) - _TICK)


def _midnight(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    return instant_of(datetime(day.year, day.month, day.day), zone)


# --- reading what people write ---------------------------------------------------------------------------------


def _error(field: str, message: str) -> ScheduleError:
    return ScheduleError(f"{field}: {message}", errors={field: [message]})


def _read_calendar(value: Any) -> str:
    if value == "":
        return ""
    if not isinstance(value, str) or not _NAME.fullmatch(value.strip()):
        raise _error("calendar", f"must be the name of a calendar, not {value!r}")
    return value.strip()


def _read_dates(value: Any) -> tuple[str, ...]:
    if isinstance(value, (str, date)) or not isinstance(value, (list, tuple)):
        raise _error("skip_dates", f"must be a list of dates such as 2026-12-25 or 12-25, not {value!r}")
    try:
        return tuple(sorted(calendars.read({"holidays": value}).holidays))
    except InvalidInput as error:
        raise _error("skip_dates", str(error).removeprefix("holidays: ")) from None


def _read_duration(field: str, value: Any, most: timedelta) -> timedelta:
    try:
        if isinstance(value, bool) or not isinstance(value, (int, float, str, timedelta)):
            raise ValueError
        found = clock.duration(value)
    except (ValueError, OverflowError):
        raise _error(field, f"{value!r} is no duration: write seconds, or 90s, 5m, 1h30m, 2d") from None
    if not timedelta(0) <= found <= most:
        raise _error(field, f"must be between 0 and {most.days} days, not {value}")
    return found


def _with_catch_up(plan: Plan, value: Any) -> Plan:
    words = [item.value for item in CatchUp if item is not CatchUp.WINDOW]
    if isinstance(value, str) and value.strip() in words:
        return replace(plan, catch_up=CatchUp(value.strip()))
    if isinstance(value, str) and value.strip().isalpha():
        raise _error("catch_up", f"{value!r} is not known: write {', '.join(words)}, or how long after, such as 6h")
    return replace(plan, catch_up=CatchUp.WINDOW, window=_read_duration("catch_up", value, _WINDOW_MAX))


def _read_choice(field: str, value: Any, kind: type[Overlap]) -> Overlap:
    try:
        return kind(value)
    except ValueError:
        raise _error(field, f"{value!r} is not known: write {', '.join(item.value for item in kind)}") from None


def _read_flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _error(field, f"must be true or false, not {value!r}")
    return value


def _read_note(value: Any) -> str:
    if not isinstance(value, str):
        raise _error("note", f"must be a text, not {value!r}")
    if len(value) > NOTE_MAX:
        raise _error("note", f"is {len(value)} characters long; at most {NOTE_MAX} are taken")
    return value.strip()


#: The names of all that tells when and how: the rule's, and those beside it.
ALL_FIELDS = (*RULE_FIELDS, *FIELDS)
