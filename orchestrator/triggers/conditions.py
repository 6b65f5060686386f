"""What a trigger can wait for: plain values, made by :mod:`.documents`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..timing.schedules import ScheduleSpec
from .matching import matches, matches_related, meets
from .seen import Seen


@dataclass(frozen=True)
class Filter:
    """Which events count, by the labels of their resource and of related ones."""

    match: Mapping[str, tuple[str, ...]]
    match_related: tuple[Mapping[str, tuple[str, ...]], ...] = ()

    def lets(self, event: Seen) -> bool:
        """Whether an event's resources are the wanted ones."""
        return matches(self.match, event.resource) and matches_related(self.match_related, event.related)


@dataclass(frozen=True)
class Happening:
    """``threshold`` matching events within ``within`` microseconds of each other (None: whatever lies between)."""

    filter: Filter
    #: Patterns of names; empty: any.
    expect: tuple[str, ...]
    threshold: int = 1
    within: int | None = None

    def counts(self, event: Seen) -> bool:
        """Whether an event is one of those."""
        return meets(self.expect, event.name) and self.filter.lets(event)


@dataclass(frozen=True)
class Absence:
    """Fewer than ``threshold`` matching events for ``within`` microseconds; with ``after``: after one of those."""

    filter: Filter
    expect: tuple[str, ...]
    after: tuple[str, ...]
    threshold: int
    within: int

    def counts(self, event: Seen) -> bool:
        """Whether an event is one of those that shall come."""
        return meets(self.expect, event.name) and self.filter.lets(event)

    def arms(self, event: Seen) -> bool:
        """Whether one of those shall come after this event."""
        return bool(self.after) and meets(self.after, event.name) and self.filter.lets(event)


@dataclass(frozen=True)
class Group:
    """``require`` of the parts fire within ``within`` microseconds of each other; as a sequence: all, in turn."""

    parts: tuple[Condition, ...]
    require: int
    within: int | None = None
    in_order: bool = False


@dataclass(frozen=True)
class Metric:
    """A number, measured from time to time, stands on the wrong side of ``value`` for ``firing_for`` microseconds."""

    name: str
    #: Whose runs: ``{"deployment": ...}``, ``{"flow": ...}``, ``{"tags": [...]}``; empty: all.
    of: Mapping[str, Any]
    #: Which events, for numbers of events and of what they carry.
    filter: Filter
    expect: tuple[str, ...]
    operator: str
    value: float
    #: How far back it looks.
    range: int
    firing_for: int = 0


@dataclass(frozen=True)
class Schedule:
    """The slots of a schedule."""

    spec: ScheduleSpec


Condition = Happening | Absence | Group | Metric | Schedule


def leaves(condition: Condition) -> Iterator[Condition]:
    """All conditions in one that are no group."""
    if isinstance(condition, Group):
        for part in condition.parts:
            yield from leaves(part)
    else:
        yield condition


def name_patterns(condition: Condition) -> tuple[str, ...] | None:
    """Patterns of all names that concern one leaf; None: any name may, and empty: none does."""
    if isinstance(condition, Happening):
        return condition.expect or None
    if isinstance(condition, Absence):
        return (*condition.expect, *condition.after) if condition.expect else None
    return ()


def concerns(condition: Condition, event: Seen) -> bool:
    """Whether an event counts for any part of a condition."""
    return any(
        leaf.counts(event) or (isinstance(leaf, Absence) and leaf.arms(event))
        for leaf in leaves(condition)
        if isinstance(leaf, (Happening, Absence))
    )


def key_of(for_each: Sequence[str], event: Seen) -> tuple[str, ...] | None:
    """The values that an event has of what a trigger is evaluated for each of; None: it lacks one of them."""
    found = []
    for path in for_each:
        value = _value(path, event)
        if value is None:
            return None
        found.append(value)
    return tuple(found)


def _value(path: str, event: Seen) -> str | None:
    if not path.startswith("related."):
        return event.resource.get(path)
    _, role, label = path.split(".", 2)
    first = next((labels for labels in event.related if labels.get("resource.role") == role), None)
    return None if first is None else first.get(label)
