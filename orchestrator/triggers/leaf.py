"""One condition that is no group, whatever its kind."""

from __future__ import annotations

from ..timing.schedules import next_times
from . import absence, happening
from .conditions import Absence, Condition, Happening, Schedule
from .remembering import Fired, Happened, Memory
from .seen import Seen, instant, stamp


def begin(condition: Condition, at: int) -> Memory:
    """What is remembered at first, when it begins to be watched at a time."""
    if isinstance(condition, Happening):
        return happening.begin(condition, at)
    if isinstance(condition, Absence):
        return absence.begin(condition, at)
    if isinstance(condition, Schedule):
        return {"next": _slot(condition, at)}
    return {}


def feed(condition: Condition, memory: Memory, event: Seen) -> list[Happened]:
    """Take in one event."""
    if isinstance(condition, Happening):
        return [*happening.feed(condition, memory, event)]
    if isinstance(condition, Absence):
        return absence.feed(condition, memory, event)
    return []


def judge(condition: Condition, memory: Memory, clock: int) -> list[Happened]:
    """Decide what the clock has passed."""
    if isinstance(condition, Absence):
        return absence.judge(condition, memory, clock)
    if not isinstance(condition, Schedule) or memory["next"] is None or memory["next"] > clock:
        return []
    slot = memory["next"]
    memory["next"] = _slot(condition, slot)
    return [Fired(slot)]


def deadline(condition: Condition, memory: Memory) -> int | None:
    """When the clock has something to decide."""
    if isinstance(condition, Absence):
        return absence.deadline(condition, memory)
    return memory["next"] if isinstance(condition, Schedule) else None


def _slot(condition: Schedule, after: int) -> int | None:
    found = next_times(condition.spec, instant(after), 1)
    return stamp(found[0]) if found else None
