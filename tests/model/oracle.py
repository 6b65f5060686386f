"""An oracle of triggers. It keeps all that ever came, and works everything out anew from the whole of it.

It reads documents as people write them and shares no line with the evaluator. Times are whole microseconds.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SECOND = 1_000_000


@dataclass(frozen=True)
class Arrival:
    """One event, as it was read."""

    id: str
    name: str
    at: int
    resource: Mapping[str, str]
    related: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Fired:
    """``occasion`` is ``event:ID`` or ``deadline:TIME``."""

    occasion: str
    at: int
    debounced: bool = False


@dataclass(frozen=True)
class Over:
    """What fired is over."""

    at: int


def span(document: Mapping[str, Any], default: int | None = None) -> int | None:
    """``within``, in microseconds."""
    return document["within"] * SECOND if "within" in document else default


class Oracle:
    """One trigger."""

    def __init__(self, document: Mapping[str, Any], since: int) -> None:
        self.when = document["when"]
        self.debounce = document.get("debounce", 0) * SECOND
        self.since = since
        self.keys: dict[str, Part] = {}
        self.told: dict[str, list[Fired | Over]] = {}
        self.last: dict[str, int] = {}
        if not self.when.get("for_each"):
            self._begin("[]", since)

    def event(self, event: Arrival) -> None:
        """Take in an event."""
        key = self._key(event)
        if key is None or not any(part.concerns(event) for part in leaves(part_of(self.when, 0))):
            return
        if key not in self.keys:
            self._begin(key, max(event.at, self.since))
        self._tell(key, self.keys[key].event(event), f"event:{event.id}")

    def clock(self, clock: int) -> None:
        """Up to ``clock`` everything is known."""
        for key, part in self.keys.items():
            while (due := part.due()) is not None and due <= clock:
                self._tell(key, part.clock(due if isinstance(part, Group) else clock), None)

    def _begin(self, key: str, at: int) -> None:
        self.keys[key] = part_of(self.when, at)
        self.told[key] = []

    def _key(self, event: Arrival) -> str | None:
        values = []
        for label in self.when.get("for_each", ()):
            if label.startswith("related."):
                _, role, name = label.split(".", 2)
                having = [labels for labels in event.related if labels["resource.role"] == role]
                value = having[0].get(name) if having else None
            else:
                value = event.resource.get(label)
            if value is None:
                return None
            values.append(value)
        return json.dumps(values, separators=(",", ":"))

    def _tell(self, key: str, happened: list[Fired | Over], occasion: str | None) -> None:
        for item in happened:
            if isinstance(item, Fired):
                debounced = False
                if self.debounce:
                    debounced = key in self.last and item.at < self.last[key] + self.debounce
                    if not debounced:
                        self.last[key] = item.at
                item = Fired(occasion or f"deadline:{item.at}", item.at, debounced)
            self.told[key].append(item)


class Part:
    """A condition, or one within a group."""

    def concerns(self, event: Arrival) -> bool:
        """Whether it makes anything of an event."""
        raise NotImplementedError

    def event(self, event: Arrival) -> list[Any]:
        """What an event leads to."""
        raise NotImplementedError

    def due(self) -> int | None:
        """The next time at which the clock decides something."""
        return None

    def clock(self, clock: int) -> list[Any]:
        """What the clock leads to."""
        return []


def part_of(when: Mapping[str, Any], at: int) -> Part:
    """A condition that begins to be watched."""
    if "absent" in when:
        return Answer(when) if "after" in when else Silence(when, at)
    if {"any", "all", "at_least", "sequence"} & set(when):
        return Group(when, at)
    return Several(when)


def leaves(part: Part) -> list[Part]:
    """All conditions that are no group."""
    return [leaf for inner in part.parts for leaf in leaves(inner)] if isinstance(part, Group) else [part]


def is_like(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None


def fits(patterns: Any, text: str | None) -> bool:
    every = [patterns] if isinstance(patterns, str) else list(patterns)
    wanted = [pattern for pattern in every if pattern[:1] != "!"]
    if text is None:
        return not wanted
    if any(is_like(pattern[1:], text) for pattern in every if pattern[:1] == "!"):
        return False
    return not wanted or any(is_like(pattern, text) for pattern in wanted)


def is_meant(when: Mapping[str, Any], event: Arrival) -> bool:
    specs = when.get("match_related", [])
    return all(fits(patterns, event.resource.get(label)) for label, patterns in when.get("match", {}).items()) and all(
        any(all(fits(patterns, labels.get(label)) for label, patterns in spec.items()) for labels in event.related)
        for spec in specs
    )


def is_expected(when: Mapping[str, Any], event: Arrival) -> bool:
    return is_meant(when, event) and fits(when.get("expect", []), event.name)


class Several(Part):
    """``threshold`` events within ``within`` of each other; each is used once."""

    def __init__(self, when: Mapping[str, Any]) -> None:
        self.when, self.unused = when, list[int]()

    def concerns(self, event: Arrival) -> bool:
        return is_expected(self.when, event)

    def event(self, event: Arrival) -> list[Any]:
        if not self.concerns(event):
            return []
        self.unused.append(event.at)
        number, within = self.when.get("threshold", 1), span(self.when)
        possible = [
            chosen
            for chosen in itertools.combinations(sorted(self.unused), number)
            if within is None or chosen[-1] - chosen[0] <= within
        ]
        if not possible:
            return []
        first = min(possible)
        for time in first:
            self.unused.remove(time)
        return [Fired("", first[-1])]


class Silence(Part):
    """At every time there have to be ``threshold`` events in the ``within`` before it."""

    def __init__(self, when: Mapping[str, Any], at: int) -> None:
        self.when = when
        self.number, self.within = when.get("threshold", 1), span(when) or 0
        #: What is counted: nothing before ``anchor``.
        self.anchor = at
        self.times = [at] * self.number
        self.lacking: int | None = None

    def concerns(self, event: Arrival) -> bool:
        return is_expected(self.when, event)

    def counted(self, until: int) -> int:
        """How many lie in the window that ends at a time."""
        return sum(self.anchor <= time and until - self.within < time <= until for time in self.times)

    def event(self, event: Arrival) -> list[Any]:
        if not self.concerns(event):
            return []
        self.times.append(event.at)
        return self.ended()

    def due(self) -> int | None:
        if self.lacking is not None:
            return None
        ends = sorted(time + self.within for time in self.times if time >= self.anchor)
        return next(end for end in ends if self.counted(end) < self.number)

    def clock(self, clock: int) -> list[Any]:
        due = self.due()
        if due is None or due > clock:
            return []
        self.lacking = due
        self.anchor = max(self.anchor, due - self.within + 1)
        return [Fired("", due), *self.ended()]

    def ended(self) -> list[Any]:
        """The first time at which there are enough again."""
        if self.lacking is None:
            return []
        enough = [t for t in sorted(self.times) if t >= self.anchor and self.counted(t) >= self.number]
        if not enough:
            return []
        self.lacking = None
        in_window = sorted(t for t in self.times if t >= self.anchor and enough[0] - self.within < t <= enough[0])
        self.anchor = in_window[-self.number]
        return [Over(enough[0])]


class Answer(Part):
    """After each event of one kind, ``threshold`` of another within ``within``."""

    def __init__(self, when: Mapping[str, Any]) -> None:
        self.when = when
        self.number, self.within = when.get("threshold", 1), span(when) or 0
        self.asked: set[int] = set()
        self.judged: set[int] = set()
        self.answers: list[int] = []
        self.lacking: int | None = None
        self.over: int | None = None

    def asks(self, event: Arrival) -> bool:
        return is_meant(self.when, event) and fits(self.when["after"], event.name)

    def concerns(self, event: Arrival) -> bool:
        return is_expected(self.when, event) or self.asks(event)

    def open(self) -> list[int]:
        """What was asked for and neither came nor was judged."""
        return sorted(
            asked
            for asked in self.asked - self.judged
            if sum(asked < time <= asked + self.within for time in self.answers) < self.number
        )

    def event(self, event: Arrival) -> list[Any]:
        found: list[Any] = []
        if is_expected(self.when, event):
            self.answers.append(event.at)
            found = self.ended()
        if self.asks(event):
            self.asked.add(event.at)
            self.judged.discard(event.at)  # at the very time of one that was judged: it asks anew
        return found

    def due(self) -> int | None:
        return min((asked + self.within for asked in self.open()), default=None)

    def clock(self, clock: int) -> list[Any]:
        found: list[Any] = []
        for asked in self.open():
            due = asked + self.within
            if due > clock:
                break
            self.judged.add(asked)
            if self.lacking is None and (self.over is None or due >= self.over):
                self.lacking = asked
                found += [Fired("", due), *self.ended()]
        return found

    def ended(self) -> list[Any]:
        if self.lacking is None:
            return []
        later = sorted(time for time in self.answers if time > self.lacking)
        if len(later) < self.number:
            return []
        over = later[self.number - 1]
        self.lacking, self.over = None, max(over, self.over or over)
        return [Over(over)]


@dataclass
class Group(Part):
    """Several conditions; what fires in them is used up when the group does."""

    when: Mapping[str, Any]
    at: int
    parts: list[Part] = field(init=False)

    def __post_init__(self) -> None:
        kind = next(kind for kind in ("any", "all", "at_least", "sequence") if kind in self.when)
        inner = self.when["of"] if kind == "at_least" else self.when[kind]
        self.parts = [part_of(item, self.at) for item in inner]
        self.number = {"any": 1, "at_least": self.when.get("at_least")}.get(kind) or len(inner)
        self.in_turn = kind == "sequence"
        self.fired: list[tuple[int, int]] = []

    def event(self, event: Arrival) -> list[Any]:
        return self.gather([part.event(event) for part in self.parts])

    def due(self) -> int | None:
        return min((due for part in self.parts if (due := part.due()) is not None), default=None)

    def clock(self, clock: int) -> list[Any]:
        found: list[Any] = []
        while (due := self.due()) is not None and due <= clock:
            found += self.gather([part.clock(due) for part in self.parts])
        return found

    def gather(self, happened: list[list[Any]]) -> list[Any]:
        news = [(item.at, place) for place, items in enumerate(happened) for item in items if isinstance(item, Fired)]
        self.fired += news
        ends = self.chains() if self.in_turn else self.crowds()
        if not news or not ends:
            return []
        self.fired = []
        return [Fired("", min(ends))]

    def crowds(self) -> list[int]:
        """The times by which enough parts fired."""
        within = span(self.when)
        return [
            end
            for end, _ in self.fired
            if len({p for time, p in self.fired if time <= end and (within is None or end - time <= within)})
            >= self.number
        ]

    def chains(self) -> list[int]:
        """The ends of all chains, in which each part fired later than the one before."""
        within = span(self.when)
        times = [[time for time, p in self.fired if p == place] for place in range(len(self.parts))]
        return [
            chain[-1]
            for chain in itertools.product(*times)
            if all(one < other for one, other in itertools.pairwise(chain))
            and (within is None or chain[-1] - chain[0] <= within)
        ]
