"""When a schedule fires: cron, interval or rrule in a time zone, as UTC instants. Pure: no clock, no database.

What happens when the clocks change:

* A rule that names its hours (``30 2 * * *``) follows the local clock: an hour that comes twice counts the first time,
  a time that is skipped fires once at the instant the gap ends.
* A rule for every hour (``*/15 * * * *``) follows elapsed time: it neither pauses nor doubles.
* An interval below a day is elapsed time; one of a day or more keeps the local clock time.

``anchor`` fixes the phase. An interval also fires before its anchor, an rrule (whose DTSTART it is) does not. Without
one, the phase is that of Monday 2024-01-01, midnight, in the schedule's zone.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import count
from typing import Any

from croniter import CroniterError, croniter
from dateutil.rrule import rrule, rruleset, rrulestr

from .. import clock
from ..errors import ScheduleError
from .local_clock import Source, by_elapsed_time, by_local_clock, instant_of, local_time

#: The names of a schedule's own fields; everything else about it (slug, parameters ...) is the deployment's.
FIELDS = ("cron", "day_or", "interval", "anchor", "rrule", "timezone")
RRULE_MAX = 6500  #: characters

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_INTERVAL_MAX = timedelta(days=3660)
_CRON_MAX = 256
_COUNT_MAX = 10_000
_FIRST = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime(9000, 1, 1, tzinfo=timezone.utc)
_MONDAY = datetime(2024, 1, 1)
_DAY_FILTERS = frozenset({"BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYEASTER"})
_UNITS = {"MINUTELY": timedelta(minutes=1), "HOURLY": timedelta(hours=1), "DAILY": _DAY, "WEEKLY": 7 * _DAY}
_CRON_ALIASES = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
_HASHED = re.compile(r"(?:^|[\s,])[hr](?=[\s,/(]|$)", re.IGNORECASE)
_UTC_STAMP = re.compile(r"\b(\d{8}T\d{6})Z\b")


@dataclass(frozen=True)
class ScheduleSpec:
    """One schedule; exactly one of ``cron``, ``interval`` and ``rrule`` is given. :func:`parse` checks one."""

    cron: str | None = None
    #: cron: whether day of month and day of week are joined by OR (as cron does) or by AND.
    day_or: bool = True
    interval: timedelta | None = None
    anchor: datetime | None = None
    rrule: str | None = None
    timezone: str = "UTC"

    def write(self) -> dict[str, Any]:
        """The schedule as JSON holds it: ``interval`` in seconds, ``anchor`` as RFC 3339 text."""
        return {
            "cron": self.cron,
            "day_or": self.day_or,
            "interval": None if self.interval is None else self.interval.total_seconds(),
            "anchor": None if self.anchor is None else clock.to_text(self.anchor),
            "rrule": self.rrule,
            "timezone": self.timezone,
        }


def parse(mapping: Mapping[str, Any]) -> ScheduleSpec:
    """Check a schedule that comes from outside.

    Args:
        mapping: Any of :data:`FIELDS`; None means not given. ``interval`` is seconds or text such as ``1h30m``,
            ``anchor`` a datetime or its text (without an offset: local to ``timezone``).

    Raises:
        ScheduleError: Names the field and the fix; its ``errors`` hold the same by field.
    """
    given = {name: value for name, value in mapping.items() if value is not None}
    for name in given:
        if name not in FIELDS:
            raise _error(str(name), f"is no field of a schedule; the fields are {', '.join(FIELDS)}")
    kinds = [name for name in ("cron", "interval", "rrule") if name in given]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        raise _error(kinds[-1] if kinds else "cron", f"give exactly one of cron, interval and rrule, not {found}")
    zone_name = _read_timezone(given.get("timezone", "UTC"))
    zone = _zone(zone_name)
    spec = ScheduleSpec(
        cron=_read_cron(given["cron"]) if "cron" in given else None,
        day_or=_read_flag("day_or", given.get("day_or", True)),
        interval=_read_interval(given["interval"]) if "interval" in given else None,
        anchor=read_instant("anchor", given["anchor"], zone) if "anchor" in given else None,
        rrule=_read_rrule(given["rrule"]) if "rrule" in given else None,
        timezone=zone_name,
    )
    _must_fire(spec, zone)
    return spec


def next_times(spec: ScheduleSpec, after: datetime, limit: int, until: datetime | None = None) -> list[datetime]:
    """The next instants at which the schedule fires, in UTC, ascending, each once.

    Args:
        spec: The schedule.
        after: Aware; only later instants are given.
        limit: At most so many.
        until: Aware; the last instant that may be given.

    Raises:
        ScheduleError: The schedule cannot be understood (it did not come from :func:`parse`).
    """
    last = _LAST if until is None else min(until.astimezone(timezone.utc), _LAST)
    start = max(after.astimezone(timezone.utc), _FIRST)
    times: list[datetime] = []
    if limit < 1 or start >= last:
        return times
    for instant in _fire(spec, _zone(spec.timezone), start):
        if instant > last:
            break
        times.append(instant)
        if len(times) == limit:
            break
    return times


def read_instant(field: str, value: Any, zone: zoneinfo.ZoneInfo) -> datetime:
    """An instant from a datetime or its text; without an offset it is local to ``zone``. Raises ScheduleError."""
    instant = value
    if isinstance(value, str):
        text = value.strip()
        try:
            instant = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("z", "Z") else text)
        except ValueError:
            pass
    if not isinstance(instant, datetime):
        raise _error(field, f"{value!r} is no time; write for example 2026-01-31T09:00:00Z")
    if not 1900 <= instant.year <= 8000:
        raise _error(field, f"{value} lies outside the years 1900 to 8000")
    return instant_of(instant, zone) if instant.tzinfo is None else instant.astimezone(timezone.utc)


def zone_of(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of an IANA name. Raises ScheduleError."""
    return _zone(name)


def _fire(spec: ScheduleSpec, zone: zoneinfo.ZoneInfo, after: datetime) -> Iterator[datetime]:
    if spec.interval is not None:
        return _interval_times(spec.interval, spec.anchor or _default_anchor(zone), zone, after)
    if spec.cron is not None:
        source, every_hour = _cron_source(spec.cron, spec.day_or), _is_hourly_cron(spec.cron)
    elif spec.rrule is not None:
        rule = _Rule.read(spec.rrule)
        source, every_hour = rule.source(spec.anchor or _default_anchor(zone), zone), rule.every_hour
    else:
        raise _error("cron", "give exactly one of cron, interval and rrule, not none")
    return by_elapsed_time(source, zone, after) if every_hour else by_local_clock(source, zone, after)


# --- interval --------------------------------------------------------------------------------------------------


def _interval_times(step: timedelta, anchor: datetime, zone: zoneinfo.ZoneInfo, after: datetime) -> Iterator[datetime]:
    if step < _DAY:
        return (anchor.astimezone(timezone.utc) + step * n for n in count((after - anchor) // step + 1))
    origin = anchor.astimezone(zone).replace(tzinfo=None)

    def source(local: datetime) -> Iterator[datetime]:
        # From one step early: an anchor with microseconds may round down past the instant itself.
        return (origin + step * n for n in count((local - origin) // step))

    return by_local_clock(source, zone, after)


def _default_anchor(zone: zoneinfo.ZoneInfo) -> datetime:
    return instant_of(_MONDAY, zone)


# --- cron ------------------------------------------------------------------------------------------------------


def _cron_source(cron: str, day_or: bool) -> Source:
    def source(local: datetime) -> Iterator[datetime]:
        try:
            yield from croniter(cron, local, ret_type=datetime, day_or=day_or)
        except CroniterError:  # nothing matches within fifty years
            return

    return source


@lru_cache(maxsize=1024)
def _is_hourly_cron(cron: str) -> bool:
    """Whether the hour field leaves no hour out: ``*``, ``*/1``, ``0-23``."""
    try:
        return bool(croniter.expand(cron)[0][1] == ["*"])
    except CroniterError as error:
        raise _error("cron", f"{cron!r}: {error}") from None


# --- rrule -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rule:
    """An rrule text, taken apart: its one RRULE and the dates added and left out."""

    parts: dict[str, str]
    dates: tuple[str, ...]

    @classmethod
    def read(cls, text: str) -> _Rule:
        rules, dates = [], []
        for line in filter(None, (line.strip() for line in text.upper().splitlines())):
            name, _, value = line.rpartition(":")
            if name in ("", "RRULE"):
                rules.append(value)
            elif name in ("RDATE", "EXDATE"):
                dates.append(line)
            elif name.startswith("DTSTART"):
                raise _error("rrule", "give the start as `anchor` (and `timezone`), not as DTSTART")
            else:
                raise _error("rrule", f"{name} is not understood here; write RRULE, RDATE and EXDATE lines")
        if len(rules) != 1:
            raise _error("rrule", f"one RRULE is needed, {len(rules)} were found")
        pairs = [part.partition("=") for part in rules[0].split(";") if part]
        return cls({name.strip(): value.strip() for name, _, value in pairs}, tuple(dates))

    @property
    def step(self) -> int:
        """INTERVAL, at least 1 (dateutil would go on for ever at 0)."""
        text = self.parts.get("INTERVAL", "1")
        if not text.isdecimal() or int(text) < 1:
            raise _error("rrule", f"INTERVAL={text} must be a whole number of at least 1")
        return int(text)

    @property
    def every_hour(self) -> bool:
        if {"BYHOUR", "BYSETPOS", "COUNT"} & self.parts.keys():
            return False
        frequency = self.parts.get("FREQ")
        return (frequency == "HOURLY" and self.step == 1) or (frequency == "MINUTELY" and 60 % self.step == 0)

    def source(self, anchor: datetime, zone: zoneinfo.ZoneInfo) -> Source:
        """Local times after a local time; the rule starts at ``anchor``."""
        origin = local_time(anchor, zone)
        return lambda local: self._built(self._later_origin(origin, local), zone).xafter(local)

    def must_match(self, anchor: datetime, zone: zoneinfo.ZoneInfo) -> None:
        """Raise ScheduleError when dateutil refuses the text, or when no day ever matches."""
        origin = local_time(anchor, zone)
        self._built(origin, zone)
        days = {name: value for name, value in self.parts.items() if name in _DAY_FILTERS}
        if "BYDAY" in days:
            days["BYDAY"] = re.sub(r"[+-]?\d+", "", days["BYDAY"])
        # dateutil searches year by year only in a YEARLY rule: the others would take seconds to find nothing.
        free = {name: value for name, value in self.parts.items() if name not in ("COUNT", "UNTIL")}
        for rule in (_Rule({"FREQ": "YEARLY", **days}, ()), _Rule(free, ())):
            if rule._built(origin, zone).after(origin, inc=True) is None:
                raise _error("rrule", "no day will ever match it")

    def _built(self, origin: datetime, zone: zoneinfo.ZoneInfo) -> rrule | rruleset:
        lines = ["RRULE:" + ";".join(f"{name}={value}" for name, value in self.parts.items()), *self.dates]
        try:
            text = _UTC_STAMP.sub(lambda match: _local_stamp(match[1], zone), "\n".join(lines))
            return rrulestr(text, dtstart=origin)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
            raise _error("rrule", f"{error}; write for example FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9") from None

    def _later_origin(self, origin: datetime, local: datetime) -> datetime:
        """An origin of the same phase close to ``local``: dateutil counts from the start one by one."""
        unit = _UNITS.get(self.parts.get("FREQ", ""))
        if unit is None or "COUNT" in self.parts:
            return origin
        step = unit * self.step
        return origin + step * max(0, (local - 2 * step - origin) // step)


def _local_stamp(stamp: str, zone: zoneinfo.ZoneInfo) -> str:
    instant = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    return f"{local_time(instant, zone):%Y%m%dT%H%M%S}"


# --- reading what people write ---------------------------------------------------------------------------------


def _error(field: str, message: str) -> ScheduleError:
    return ScheduleError(f"{field}: {message}", errors={field: [message]})


def _read_text(field: str, value: Any, longest: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _error(field, f"must be a text, not {value!r}")
    if len(value) > longest:
        raise _error(field, f"is {len(value)} characters long; at most {longest} are taken")
    return value.strip()


def _read_flag(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _error(field, f"must be true or false, not {value!r}")
    return value


def _read_cron(value: Any) -> str:
    cron = " ".join(_read_text("cron", value, _CRON_MAX).split())
    fields = len(cron.split())
    if cron.startswith("@"):
        if cron not in _CRON_ALIASES:
            raise _error("cron", f"{cron} is not known; write one of {', '.join(_CRON_ALIASES)}")
    elif fields != 5:
        hint = "; seconds and years are not taken" if fields in (6, 7) else ""
        raise _error("cron", f"{cron!r} does not have the 5 fields minute, hour, day, month, weekday{hint}")
    if _HASHED.search(cron):
        raise _error("cron", f"{cron!r}: H and R are not taken, write the number itself")
    _is_hourly_cron(cron)
    return cron


def _read_interval(value: Any) -> timedelta:
    if isinstance(value, bool) or not isinstance(value, (int, float, str, timedelta)):
        raise _error("interval", f"must be seconds or a text such as 90s, 5m, 1h30m, 2d, not {value!r}")
    try:
        interval = clock.duration(value)
    except (ValueError, OverflowError):
        raise _error("interval", f"{value!r} is no duration: write seconds, or 90s, 5m, 1h30m, 2d") from None
    if not _SECOND <= interval <= _INTERVAL_MAX:
        raise _error("interval", f"must be between 1 second and {_INTERVAL_MAX.days} days, not {value}")
    return interval


def _read_rrule(value: Any) -> str:
    text = _read_text("rrule", value, RRULE_MAX)
    rule = _Rule.read(text)
    frequency = rule.parts.get("FREQ", "")
    if frequency not in {*_UNITS, "MONTHLY", "YEARLY"}:
        raise _error("rrule", "FREQ must be MINUTELY, HOURLY, DAILY, WEEKLY, MONTHLY or YEARLY")
    limit = rule.parts.get("COUNT", "1")
    if not limit.isdecimal() or not 1 <= int(limit) <= _COUNT_MAX:
        raise _error("rrule", f"COUNT={limit} must be a whole number from 1 to {_COUNT_MAX}")
    if "COUNT" in rule.parts and "UNTIL" in rule.parts:
        raise _error("rrule", "give COUNT or UNTIL, not both")
    if rule.step > 100_000:
        raise _error("rrule", f"INTERVAL={rule.step} must be at most 100000")
    return text


def _read_timezone(value: Any) -> str:
    name = _read_text("timezone", value, 100)
    _zone(name)
    return name


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise _error("timezone", f"{name!r} is no IANA time zone{_did_you_mean(name)}") from None


def _did_you_mean(name: str) -> str:
    known = {zone.lower(): zone for zone in zoneinfo.available_timezones()}
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    return f"; did you mean {known[near[0]]}?" if near else ", such as Europe/Berlin"


def _must_fire(spec: ScheduleSpec, zone: zoneinfo.ZoneInfo) -> None:
    """Refuse a rule that no day will ever match, whatever bounds it may carry."""
    if spec.rrule is not None:
        _Rule.read(spec.rrule).must_match(spec.anchor or _default_anchor(zone), zone)
    elif spec.cron is not None and next(_cron_source(spec.cron, spec.day_or)(_MONDAY), None) is None:
        raise _error("cron", f"{spec.cron!r}: no day will ever match it")
