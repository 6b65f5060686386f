"""What became of something that was expected, in plain English. Pure."""

from __future__ import annotations

from datetime import datetime

from ..timing.schedules import zone_of
from .documents import Spec
from .judging import LATE, MET, MISSED, Occurrence
from .sentences import span


def outcome(
    spec: Spec, found: Occurrence, *, about: str = "", was_missed: bool = False, is_judged_late: bool = False
) -> str:
    """What became of an occurrence, in one line; times are those of the expectation's own zone.

    Args:
        about: What of several it is about, such as the value that ``for_each`` tells apart.
        was_missed: It had been told as missed before.
        is_judged_late: It was judged after an outage.
    """
    name = f"{spec.name} ({about})" if about else spec.name
    grace = f", with {span(found.deadline - found.due)} of grace" if found.deadline > found.due else ""
    expected = f"expected by {_local(found.due, spec)}"
    if found.status == MISSED:
        after = "; found after an outage" if is_judged_late else ""
        return f"{name}: missed; {expected}{grace}{after}"
    if found.satisfied is None:
        return f"{name}: {expected}{grace}"
    came = _local(found.satisfied, spec)
    if found.status == LATE:
        return f"{name}: came after all at {came}, {span(found.satisfied - found.due)} late; {expected}"
    if found.status == MET and was_missed:
        return f"{name}: came in time after all, at {came}; that was heard of late"
    return f"{name}: came in time, at {came}"


def _local(at: datetime, spec: Spec) -> str:
    """``09:15 Europe/Berlin on Monday 2026-03-02``."""
    local = at.astimezone(zone_of(spec.timezone))
    clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return f"{clock} {spec.timezone} on {local:%A %Y-%m-%d}"
