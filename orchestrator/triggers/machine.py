"""One trigger, for one key: an event or a time comes in, and out comes what fires and what is over.

What is remembered of a key is JSON, made here and handed back with each step; the step changes it in place. The same
events in the same order, and the same times in between, always give the same.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from ..clock import to_text
from . import grouping
from .conditions import Happening, Metric, Schedule, concerns, key_of
from .documents import TriggerSpec
from .remembering import Fired, Happened, Resolved
from .seen import Seen, instant, span

#: Longest text of a key, in bytes; of a longer one only a hash is kept.
KEY_MAX = 1000
NO_KEY = "[]"


@dataclass(frozen=True)
class Firing:
    """A trigger fired for a key. ``occasion`` names what for: each occasion of a trigger counts once."""

    key: str
    occasion: str
    #: Microseconds since 1970.
    at: int
    #: Ids of events that it was met by, the last one last.
    causes: tuple[str, ...]
    #: How many events it took, and when the first was; 0 and None for an absence.
    count: int = 0
    first: int | None = None
    #: Within ``debounce`` after the last one of the key that was not.
    debounced: bool = False


@dataclass(frozen=True)
class Over:
    """What a trigger fired for is over."""

    key: str
    at: int
    causes: tuple[str, ...] = ()


@dataclass
class Outcome:
    """What one step led to."""

    #: None: there is nothing to remember of this key.
    state: dict[str, Any] | None
    #: In the order in which it came about.
    happened: list[Firing | Over] = field(default_factory=list)
    #: When :func:`pass_time` has something to do; None: only an event changes anything.
    deadline: int | None = None


def key_text(spec: TriggerSpec, event: Seen) -> str | None:
    """The key that an event is of; None: it lacks a label, so it does not count."""
    if not spec.for_each:
        return NO_KEY
    values = key_of(spec.for_each, event)
    if values is None:
        return None
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode(errors="surrogatepass")) > KEY_MAX:
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        return json.dumps([f"#{digest}"])
    return text


def key_values(key: str) -> list[str]:
    """The values that a key was made of; one entry of a key that was too long."""
    return [str(value) for value in json.loads(key)]


def is_concerned(spec: TriggerSpec, event: Seen) -> bool:
    """Whether an event counts for a trigger that knows its key."""
    return concerns(spec.condition, event)


def remembers(spec: TriggerSpec) -> bool:
    """Whether anything has to be kept between two events."""
    return not (isinstance(spec.condition, Happening) and spec.condition.threshold == 1 and not spec.debounce)


def begin(spec: TriggerSpec, since: int) -> Outcome:
    """What is remembered of a key that begins to be watched at a time: a trigger without ``for_each`` when it is made,
    one with it when the first event of the key comes.
    """
    state = {"m": grouping.begin(spec.condition, since)}
    return Outcome(state, [], grouping.deadline(spec.condition, state["m"]))


def advance(spec: TriggerSpec, state: dict[str, Any] | None, event: Seen, key: str, since: int) -> Outcome:
    """Take in one event, which counts for the trigger and is of the key.

    Args:
        state: What is remembered of the key; None: nothing.
        since: When the trigger began to listen.
    """
    if state is None:
        start = max(event.at, since) if spec.for_each else since
        state = begin(spec, start).state or {}
    return _outcome(spec, state, grouping.feed(spec.condition, state["m"], event), key, f"event:{event.id}")


def pass_time(spec: TriggerSpec, state: dict[str, Any], key: str, clock: int) -> Outcome:
    """Decide what the clock has passed. Every event of up to then has been taken in."""
    happened: list[Happened] = []
    for _ in range(grouping.DEADLINES):
        due = grouping.deadline(spec.condition, state["m"])
        if due is None or due > clock:
            break
        happened += grouping.judge(spec.condition, state["m"], clock)
    return _outcome(spec, state, happened, key, None)


def _outcome(
    spec: TriggerSpec, state: dict[str, Any], happened: list[Happened], key: str, occasion: str | None
) -> Outcome:
    found = [_named(spec, state, item, key, occasion) for item in happened]
    return Outcome(_kept(spec, state), found, grouping.deadline(spec.condition, state["m"]))


def _named(spec: TriggerSpec, state: dict[str, Any], item: Happened, key: str, occasion: str | None) -> Firing | Over:
    if isinstance(item, Resolved):
        return Over(key, item.at, item.causes)
    if occasion is None:
        kind = "slot" if isinstance(spec.condition, Schedule) else "deadline"
        occasion = f"{kind}:{to_text(instant(item.at))}"
    return Firing(key, f"{key}|{occasion}", item.at, item.causes, item.count, item.first, _debounce(spec, state, item))


def _debounce(spec: TriggerSpec, state: dict[str, Any], fired: Fired) -> bool:
    last = state.get("last")
    if spec.debounce and last is not None and fired.at < last + span(spec.debounce):
        return True
    if spec.debounce:
        state["last"] = fired.at
    return False


def _kept(spec: TriggerSpec, state: dict[str, Any]) -> dict[str, Any] | None:
    """Nothing needs to be kept of a key without events that wait for others."""
    memory = state["m"]
    empty = isinstance(spec.condition, Happening) and not memory.get("times") and "last" not in state
    return None if empty else state


def measure(spec: TriggerSpec, state: dict[str, Any], value: float | None, at: int) -> Outcome:
    """Take in what a metric was measured to be (None: there is nothing to measure); it fires, or is over."""
    condition = spec.condition
    assert isinstance(condition, Metric)
    memory = state["m"]
    if not _compare(condition, value):
        over = [Over(NO_KEY, at)] if memory.get("firing") else []
        memory.clear()
        return Outcome(state, [*over])
    began = memory.setdefault("true", at)
    if memory.get("firing") or at < began + condition.firing_for:
        return Outcome(state)
    memory["firing"] = True
    occasion = f"{NO_KEY}|metric:{to_text(instant(began))}"
    fired = Fired(at)
    return Outcome(state, [Firing(NO_KEY, occasion, at, (), 0, began, _debounce(spec, state, fired))])


def _compare(condition: Metric, value: float | None) -> bool:
    if value is None:
        return False
    return {
        "<": value < condition.value,
        "<=": value <= condition.value,
        ">": value > condition.value,
        ">=": value >= condition.value,
    }[condition.operator]
