"""What a trigger remembers of one key, in plain English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .conditions import Absence, Condition, Group, Happening, Metric
from .documents import TriggerSpec
from .sentences import condition_text, names_text


@dataclass(frozen=True)
class Waiting:
    """Where a trigger stands for one key: a part of a sentence, and since when that is so (microseconds)."""

    text: str
    since: int | None = None


def waiting(spec: TriggerSpec, state: Mapping[str, Any]) -> Waiting:
    """What is remembered of a key, as :mod:`.machine` keeps it."""
    if "last" in state and not state["m"].get("times") and isinstance(spec.condition, Happening):
        return Waiting("has fired, and rests for the debounce", state["last"])
    return _condition(spec.condition, state["m"])


def _condition(condition: Condition, memory: Mapping[str, Any]) -> Waiting:
    if isinstance(condition, Happening):
        return _happening(condition, memory)
    if isinstance(condition, Absence):
        return _armed(condition, memory) if condition.after else _absence(condition, memory)
    if isinstance(condition, Group):
        return _group(condition, memory)
    if isinstance(condition, Metric):
        return _metric(condition, memory)
    return Waiting("waits for its next time")


def _happening(condition: Happening, memory: Mapping[str, Any]) -> Waiting:
    times = memory.get("times", [])
    if condition.within is not None:
        times = [time for time in times if time >= times[-1] - condition.within]
    if not times:
        return Waiting("waits for the first event")
    return Waiting(f"{len(times)} of {condition.threshold} {names_text(condition.expect)}", times[0])


def _absence(condition: Absence, memory: Mapping[str, Any]) -> Waiting:
    name = names_text(condition.expect)
    if memory["firing"] is not None:
        return Waiting(f"firing: {name} does not come", memory["firing"])
    return Waiting(f"waits for {name}", memory["times"][-1] if memory["times"] else None)


def _armed(condition: Absence, memory: Mapping[str, Any]) -> Waiting:
    expect, after = names_text(condition.expect), names_text(condition.after)
    if memory["firing"] is not None:
        return Waiting(f"firing: {expect} did not come after {after}", memory["firing"][0])
    arms = memory["arms"]
    if not arms:
        return Waiting(f"waits for {after}")
    several = f"{len(arms)} times " if len(arms) > 1 else ""
    return Waiting(f"{several}{after} came: waits for {expect}", arms[0][0])


def _group(condition: Group, memory: Mapping[str, Any]) -> Waiting:
    fired = memory["fired"]
    came = [condition_text(part) for part, times in zip(condition.parts, fired, strict=True) if times]
    if not came:
        return Waiting(f"none of its {len(condition.parts)} parts yet")
    since = min(times[0][0] for times in fired if times)
    return Waiting(f"{len(came)} of {condition.require} parts so far: {'; '.join(came)}", since)


def _metric(condition: Metric, memory: Mapping[str, Any]) -> Waiting:
    since = memory.get("true")
    if memory.get("firing"):
        return Waiting(f"firing: {condition_text(condition)}", since)
    if since is not None:
        return Waiting("is so, but not for long enough yet", since)
    return Waiting("was not so when it was last measured")
