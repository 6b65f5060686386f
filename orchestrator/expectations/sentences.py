"""Expectations in plain English. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Any

from ..timing.schedules import ScheduleSpec
from .documents import EACH_RUN, RESOURCE_ID, TIMETABLE, Events, Runs, Spec

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def sentence(spec: Spec) -> str:
    """What is expected, in one sentence."""
    text = f"{_what(spec)} {_when(spec)}{_days(spec)}{_grace(spec)}{_keys(spec)}"
    return text[0].upper() + text[1:] + "."


def span(time: timedelta) -> str:
    """A duration in words: ``1 hour 30 minutes``."""
    rest, parts = time.total_seconds(), []
    for size, name in _UNITS:
        number = int(rest // size)
        rest -= number * size
        if number:
            parts.append(f"{number} {name}{'s' if number > 1 else ''}")
    return " ".join(parts) or "0 seconds"


def _what(spec: Spec) -> str:
    if isinstance(spec.what, Runs):
        return _runs(spec.what, spec.count)
    events = spec.what
    names = f" {_any(events.expect)}" if events.expect else ""
    number = f"{spec.count} events{names}" if spec.count > 1 else f"an event{names}"
    about = _labels(events)
    return f"{number} {about}".strip()


def _runs(runs: Runs, count: int) -> str:
    whose = runs.deployment or (f"flow {runs.flow}" if runs.flow else "")
    if runs.tags:
        whose = f"{whose} tagged {' and '.join(runs.tags)}".strip()
    if runs.finishes_within is not None:
        has_all = len(runs.states) > 1
        return f"each run of {whose} {'ends' if has_all else 'is ' + _any(runs.states)}"
    number = f"{count}" if count > 1 else "a"
    return f"{number} {_any(runs.states)} run{'s' if count > 1 else ''} of {whose}"


def _labels(events: Events) -> str:
    parts = [_selector(events.match)] if events.match else []
    parts += [f"related to {_selector(item)}" for item in events.match_related]
    return " ".join(filter(None, parts))


def _selector(selector: Mapping[str, Any]) -> str:
    own = [f"of {_any(selector[RESOURCE_ID])}"] if RESOURCE_ID in selector else []
    rest = [f"{label} {_any(values)}" for label, values in selector.items() if label != RESOURCE_ID]
    return " ".join(own + ([f"with {' and '.join(rest)}"] if rest else []))


def _any(values: Any) -> str:
    texts = [
        str(value) for value in (values if isinstance(values, Sequence) and not isinstance(values, str) else [values])
    ]
    plain = [f"not {text[1:]}" if text.startswith("!") else text for text in texts]
    return plain[0] if len(plain) == 1 else f"{', '.join(plain[:-1])} or {plain[-1]}"


def _when(spec: Spec) -> str:
    if spec.kind == EACH_RUN and isinstance(spec.what, Runs) and spec.what.finishes_within is not None:
        since = "its start" if spec.what.of == "start" else "its scheduled time"
        return f"within {span(spec.what.finishes_within)} of {since}"
    if spec.kind == TIMETABLE and spec.schedule is not None:
        return f"{_by(spec)}, {_schedule(spec.schedule)}"
    return (
        f"every {span(spec.within or timedelta())}"
        if spec.is_heartbeat
        else f"at least every {span(spec.within or timedelta())}"
    )


def _by(spec: Spec) -> str:
    zone = spec.schedule.timezone if spec.schedule else "UTC"
    if isinstance(spec.by, time):
        return f"by {spec.by:%H:%M} {zone}"
    return f"within {span(spec.by)} of the slot" if spec.by else "by the slot"


def _schedule(schedule: ScheduleSpec) -> str:
    if schedule.interval is not None:
        return f"every {span(schedule.interval)}"
    if schedule.rrule is not None:
        return f"by the rule {schedule.rrule} ({schedule.timezone})"
    minute, hour, day, month, weekday = f"{schedule.cron} * * * *".split()[:5]
    if minute.isdecimal() and hour.isdecimal() and (day, month) == ("*", "*"):
        at = f"from {int(hour):02}:{int(minute):02} {schedule.timezone}"
        if weekday == "*":
            return f"each day {at}"
        if weekday in ("1-5", "mon-fri"):
            return f"Monday to Friday {at}"
        if weekday.isdecimal() and int(weekday) < 8:
            return f"each {_DAYS[int(weekday)]} {at}"
    return f"at each slot of {schedule.cron} ({schedule.timezone})"


def _days(spec: Spec) -> str:
    return f", on days of the calendar {spec.calendar}" if spec.calendar else ""


def _grace(spec: Spec) -> str:
    return f", with {span(spec.grace)} of grace" if spec.grace else ""


def _keys(spec: Spec) -> str:
    if spec.each_of:
        shown = ", ".join(spec.each_of[:3]) + (f" and {len(spec.each_of) - 3} more" if len(spec.each_of) > 3 else "")
        return f", for each of {shown}"
    return f", for each {' and '.join(spec.for_each)}" if spec.for_each else ""
