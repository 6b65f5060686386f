"""When a trigger would have fired, drawn along time and said in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.errors import InvalidInput
from orchestrator.server.services.reacting import backtest
from orchestrator.server.services.reacting.backtest import Replay, Told
from orchestrator.triggers.documents import read
from orchestrator.triggers.sentences import time_text

from .trigger_fields import kind_of

#: How far back one may look, in days.
DAYS = (1, 7, 30)
USUAL = 7
#: Stretches between the ticks of the line, by how far back it goes.
_STRETCHES = {1: 6, 7: 7, 30: 6}
#: Marks beside each other on the line, and firings that one mark tells of.
PLACES, TOLD = 96, 25
#: Why nothing would have been done, in words.
SUPPRESSED = {
    "debounced": "nothing is done: it fired just before",
    "rate": "nothing is done: it fired too often within the hour",
}


@dataclass
class Mark:
    """Firings that lie so near each other that they are one mark."""

    #: Place on the line, in percent.
    x: float
    firings: list[Told] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether something would have been done for any of them."""
        return any(not item.suppressed for item in self.firings)


@dataclass(frozen=True)
class Bar:
    """How long one lasted: ends in percent."""

    x: float
    width: float
    is_open: bool


@dataclass(frozen=True)
class Line:
    """A back-test as it is shown."""

    days: int
    replay: Replay
    marks: list[Mark]
    bars: list[Bar]
    ticks: list[tuple[float, datetime]]
    #: What there is to say where there is nothing to show, and what is left out.
    said: str
    notes: list[str]

    @property
    def fired(self) -> int:
        """Firings for which something would have been done, of those that are told."""
        return sum(not item.suppressed for item in self.replay.firings)

    @property
    def suppressed(self) -> int:
        """Those for which not."""
        return len(self.replay.firings) - self.fired

    @property
    def over(self) -> int:
        """Those that were over again."""
        return sum(item.resolved is not None for item in self.replay.firings)


@dataclass(frozen=True)
class Unplayed:
    """Why there is no back-test."""

    days: int
    said: str


def days_of(text: str) -> int:
    """How far back the page asks to look."""
    return int(text) if text in map(str, DAYS) else USUAL


def play(session: Session, document: Mapping[str, Any], days: int, now: datetime) -> Line | Unplayed:
    """Replay the last days."""
    if kind_of(document.get("when")) == "metric":
        return Unplayed(days, "A number is measured as it is at the time: it cannot be replayed.")
    wanted = now - timedelta(days=days)
    try:
        replay = backtest.run(session, _harmless(document), wanted, now)
    except InvalidInput:
        return Unplayed(days, "Complete the trigger, and you see here when it would have fired.")
    return _line(replay, document, days, wanted)


def keys(told: Told) -> str:
    """What a firing was for, of what the trigger is evaluated for each of."""
    try:
        values = json.loads(told.key)
    except ValueError:
        return told.key
    return ", ".join(map(str, values)) if isinstance(values, list) else told.key


def _harmless(document: Mapping[str, Any]) -> dict[str, Any]:
    """What it waits for alone: what is done does not matter here, nor its name."""
    kept = ("when", "debounce", "hourly_max")
    return {"name": "-", **{name: document[name] for name in kept if name in document}}


def _line(replay: Replay, document: Mapping[str, Any], days: int, wanted: datetime) -> Line:
    length = (replay.until - replay.since).total_seconds() or 1.0

    def place(at: datetime) -> float:
        return round(min(max((at - replay.since).total_seconds() / length, 0.0), 1.0) * 100, 2)

    marks: dict[int, Mark] = {}
    bars = []
    for item in replay.firings:
        x = place(item.at)
        marks.setdefault(round(x * PLACES / 100), Mark(x)).firings.append(item)
        lasts = item.resolved is not None and item.resolved > item.at
        if lasts or (_lasting(document) and item.resolved is None and not item.suppressed):
            end = place(item.resolved) if item.resolved is not None else 100.0
            bars.append(Bar(x, round(max(end - x, 0.4), 2), item.resolved is None))
    parts = _STRETCHES[days]
    ticks = [
        (round(100 * part / parts, 2), replay.since + timedelta(seconds=length * part / parts))
        for part in range(parts + 1)
    ]
    notes = _notes(replay, days, wanted)
    return Line(days, replay, [marks[key] for key in sorted(marks)], bars, ticks, _words(replay, document, days), notes)


def _lasting(document: Mapping[str, Any]) -> bool:
    when = document.get("when")
    return isinstance(when, Mapping) and "absent" in when


def _notes(replay: Replay, days: int, wanted: datetime) -> list[str]:
    notes = []
    if replay.since - wanted > timedelta(minutes=1):
        kept = round((replay.until - replay.since).total_seconds())
        notes.append(f"Events are kept for {time_text(kept // 86400 * 86_400_000_000) if kept >= 86400 else '1d'}:"
                     " it looks no further back.")  # fmt: skip
    if replay.is_cut:
        notes.append("There were too many events to look at all of them: it ends early.")
    if replay.fired > len(replay.firings):
        notes.append(f"Only the first {len(replay.firings)} firings are shown.")
    return notes


def _words(replay: Replay, document: Mapping[str, Any], days: int) -> str:
    """Why it would never have fired; empty when it would."""
    if replay.fired:
        return ""
    never = f"It would not have fired in the last {'day' if days == 1 else f'{days} days'}"
    spec = read(_harmless(document))
    if kind_of(spec.when) == "schedule":
        return f"{never}: no time of the schedule lies there."
    if kind_of(spec.when) == "absent":
        if not replay.matching and spec.for_each:
            return f"{never}: it waits from the first event of each, and none came that matches."
        return f"{never}: what it waits for came in time."
    if not replay.events:
        return f"{never}: no event of that name came."
    if not replay.matching:
        return f"{never}: {_counted(replay.events)} looked at, and none is about what it asks for."
    return f"{never}: {_counted(replay.matching)} that match, but never as it takes."


def _counted(number: int) -> str:
    return "1 event was" if number == 1 else f"{number:,} events were".replace(",", "\u202f")
