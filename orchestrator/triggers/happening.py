"""So many events within a time: each event counts for one firing."""

from __future__ import annotations

from bisect import insort

from .conditions import Happening
from .remembering import MEMORY, Fired, Memory
from .seen import Seen


def begin(condition: Happening, at: int) -> Memory:
    """What is remembered at first."""
    return {}


def feed(condition: Happening, memory: Memory, event: Seen) -> list[Fired]:
    """Take in one event."""
    if not condition.counts(event):
        return []
    if condition.threshold == 1:
        return [Fired(event.at, (event.id,), 1, event.at)]
    times: list[int] = memory.setdefault("times", [])
    insort(times, event.at)
    start = _group(times, condition.threshold, condition.within)
    if start is None:
        del times[: max(0, len(times) - condition.threshold - MEMORY)]
        return []
    used = times[start : start + condition.threshold]
    del times[start : start + condition.threshold]
    return [Fired(used[-1], (event.id,), len(used), used[0])]


def _group(times: list[int], size: int, within: int | None) -> int | None:
    """Where the first so many times begin that lie close enough together."""
    for start in range(len(times) - size + 1):
        if within is None or times[start + size - 1] - times[start] <= within:
            return start
    return None
