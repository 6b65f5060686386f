"""Several conditions in one: any, all, at least so many of them, or all in turn.

Each part fires by itself, without being seen; the times are remembered until the group fires, which uses all of them
up. What resolves a part does not undo that it fired.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from typing import Any

from . import leaf
from .conditions import Condition, Group
from .remembering import MEMORY, Fired, Happened, Memory
from .seen import Seen

#: Deadlines that are decided at one go; what is left is due at once.
DEADLINES = 1000


def begin(condition: Condition, at: int) -> Memory:
    """What is remembered at first, of whatever kind of condition."""
    if not isinstance(condition, Group):
        return leaf.begin(condition, at)
    return {"parts": [begin(part, at) for part in condition.parts], "fired": [[] for _ in condition.parts]}


def feed(condition: Condition, memory: Memory, event: Seen) -> list[Happened]:
    """Take in one event."""
    if not isinstance(condition, Group):
        return leaf.feed(condition, memory, event)
    grown = False
    for place, (part, inner) in enumerate(zip(condition.parts, memory["parts"], strict=True)):
        for fired in feed(part, inner, event):
            grown = _note(memory, place, fired) or grown
    return _check(condition, memory) if grown else []


def judge(condition: Condition, memory: Memory, clock: int) -> list[Happened]:
    """Decide what the clock has passed: one deadline after the other, so that it does not matter how often one asks."""
    if not isinstance(condition, Group):
        return leaf.judge(condition, memory, clock)
    found: list[Happened] = []
    for _ in range(DEADLINES):
        due = deadline(condition, memory)
        if due is None or due > clock:
            break
        grown = False
        for place, (part, inner) in enumerate(zip(condition.parts, memory["parts"], strict=True)):
            for fired in judge(part, inner, due):
                grown = _note(memory, place, fired) or grown
        found += _check(condition, memory) if grown else []
    return found


def deadline(condition: Condition, memory: Memory) -> int | None:
    """When the clock has something to decide."""
    if not isinstance(condition, Group):
        return leaf.deadline(condition, memory)
    parts = zip(condition.parts, memory["parts"], strict=True)
    return min((due for part, inner in parts if (due := deadline(part, inner)) is not None), default=None)


def _note(memory: Memory, place: int, happened: Happened) -> bool:
    """Remember that a part fired: the newest times of each, and one of the events that it was for."""
    if not isinstance(happened, Fired):
        return False
    times = memory["fired"][place]
    insort(times, [happened.at, happened.causes[-1] if happened.causes else ""])
    del times[: max(0, len(times) - MEMORY)]
    return True


def _check(condition: Group, memory: Memory) -> list[Happened]:
    fired = memory["fired"]
    found = _in_turn(fired, condition.within) if condition.in_order else _together(fired, condition)
    if found is None:
        return []
    memory["fired"] = [[] for _ in condition.parts]
    causes = tuple(cause for _, cause in found if cause)
    return [Fired(found[-1][0], causes, len(found), found[0][0])]


def _together(fired: list[list[Any]], condition: Group) -> list[Any] | None:
    """The first window in which enough parts fired: for each of them the last time in it, in the order of time."""
    entries = sorted((time, place, cause) for place, times in enumerate(fired) for time, cause in times)
    begin_at = 0
    inside: Counter[int] = Counter()
    for end, (time, place, _) in enumerate(entries):
        inside[place] += 1
        while condition.within is not None and time - entries[begin_at][0] > condition.within:
            inside -= Counter([entries[begin_at][1]])
            begin_at += 1
        if len(inside) >= condition.require:
            newest = {place: [at, cause] for at, place, cause in entries[begin_at : end + 1]}
            return sorted(newest.values())
    return None


def _in_turn(fired: list[list[Any]], within: int | None) -> list[Any] | None:
    """The chain of firings, each later than the one before, that ends first."""
    best: list[Any] | None = None
    for first in fired[0]:
        chain = [first]
        for times in fired[1:]:
            place = bisect_right(times, chain[-1][0], key=lambda entry: entry[0])
            if place >= len(times):
                return best
            chain.append(times[place])
        close = within is None or chain[-1][0] - first[0] <= within
        if close and (best is None or chain[-1][0] < best[-1][0]):
            best = chain
    return best
