"""When a trigger would have fired: the evaluator's own code over the events that are stored, on a clock that goes
along with them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from .... import triggers
from ....errors import InvalidInput
from ....ids import uuid7_floor
from ....triggers import Firing, Outcome, Over, Seen, TriggerSpec, instant, stamp
from ....triggers.conditions import Absence, Happening, Metric, leaves
from ....triggers.machine import NO_KEY
from ...config import current
from ..statements import fetch
from . import triggers as trigger_service

#: Events that are looked at, and firings that are told.
EVENTS_MAX, FIRINGS_MAX = 200_000, 1000
#: Measurements of a metric.
MEASUREMENTS_MAX = 500
#: Keys that are remembered at once.
KEYS_MAX = 50_000
_CHUNK = 2000

_EVENTS = """
SELECT id, event, occurred, received, resource, related FROM event
WHERE id > %(after)s AND id < %(before)s AND ({names}) ORDER BY id LIMIT %(limit)s"""


@dataclass(frozen=True)
class Told:
    """A firing that would have been: ``suppressed`` says why nothing would have been done."""

    at: datetime
    key: str
    reason: str
    event_id: uuid.UUID | None
    suppressed: str = ""
    resolved: datetime | None = None


@dataclass
class Replay:
    """What came of a back-test."""

    sentence: str
    since: datetime
    until: datetime
    events: int = 0
    matching: int = 0
    fired: int = 0
    firings: list[Told] = field(default_factory=list)
    #: Not all events could be looked at: it ends before ``until``.
    is_cut: bool = False


def run(session: Session, document: Mapping[str, Any], since: datetime, now: datetime) -> Replay:
    """Replay history through a trigger document.

    Args:
        since: Where to begin; events are kept for ``EVENT_RETENTION``.

    Raises:
        InvalidInput: The document is wrong; it waits for a metric.
    """
    spec = trigger_service.check(session, document)
    since = max(since, now - current().event_retention)
    if since >= now:
        raise InvalidInput("since: Must lie in the past", {"since": ["Must lie in the past."]})
    replay = Replay(triggers.sentence(document), since, now)
    player = _Player(spec, replay, stamp(since))
    if isinstance(spec.condition, Metric):
        raise InvalidInput(
            "when: a metric is measured as it is at the time, and cannot be replayed",
            {"when": ["A metric cannot be replayed."]},
        )
    for event in _events(session, spec, replay):
        player.clock(event.received - _lateness())
        player.take(event)
        if replay.is_cut:
            break
    if not replay.is_cut:
        player.clock(stamp(now) - _lateness())
    return replay


def _lateness() -> int:
    return triggers.span(current().trigger_lateness.total_seconds())


class _Player:
    """A trigger with all its keys, in memory."""

    def __init__(self, spec: TriggerSpec, replay: Replay, since: int) -> None:
        self._spec, self._replay, self._since = spec, replay, since
        self._states: dict[str, dict[str, Any]] = {}
        self._deadlines: dict[str, int] = {}
        self._open: dict[str, int] = {}
        self._hour: list[int] = []
        if not spec.for_each:
            self._keep(NO_KEY, triggers.begin(spec, since))

    def take(self, event: Seen) -> None:
        """Take in one event."""
        spec = self._spec
        key = triggers.key_text(spec, event) if triggers.is_concerned(spec, event) else None
        if key is None:
            return
        self._replay.matching += 1
        outcome = triggers.advance(spec, self._states.get(key), event, key, self._since)
        self._keep(key, outcome)
        self._tell(outcome, event)

    def clock(self, at: int) -> None:
        """Let time pass, one deadline after the other."""
        while self._deadlines:
            key = min(self._deadlines, key=lambda item: (self._deadlines[item], item))
            if self._deadlines[key] > at or self._replay.is_cut:
                return
            outcome = triggers.pass_time(self._spec, self._states[key], key, self._deadlines[key])
            self._keep(key, outcome)
            self._tell(outcome, None)

    def _keep(self, key: str, outcome: Outcome) -> None:
        self._states.pop(key, None)
        self._deadlines.pop(key, None)
        if outcome.state is not None and triggers.remembers(self._spec):
            self._states[key] = outcome.state
            if outcome.deadline is not None:
                self._deadlines[key] = outcome.deadline
        if len(self._states) > KEYS_MAX:
            self._replay.is_cut = True

    def _tell(self, outcome: Outcome, event: Seen | None) -> None:
        for item in outcome.happened:
            if isinstance(item, Over):
                place = self._open.pop(item.key, None)
                if place is not None:
                    self._replay.firings[place] = _resolved(self._replay.firings[place], instant(item.at))
            else:
                self._fired(item, event)

    def _fired(self, item: Firing, event: Seen | None) -> None:
        replay = self._replay
        replay.fired += 1
        if len(replay.firings) >= FIRINGS_MAX:
            return
        suppressed = "debounced" if item.debounced else self._rate(item.at)
        if self._spec.can_resolve and not suppressed:
            self._open[item.key] = len(replay.firings)
        cause = uuid.UUID(item.causes[-1]) if item.causes else None
        told = triggers.reason(self._spec, item, event)
        replay.firings.append(Told(instant(item.at), item.key, told, cause, suppressed))

    def _rate(self, at: int) -> str:
        self._hour = [time for time in self._hour if time > at - triggers.span(3600)]
        if len(self._hour) >= self._spec.hourly_max:
            return "rate"
        self._hour.append(at)
        return ""


def _resolved(told: Told, at: datetime) -> Told:
    return Told(told.at, told.key, told.reason, told.event_id, told.suppressed, at)


def _events(session: Session, spec: TriggerSpec, replay: Replay) -> Iterator[Seen]:
    """The events that may matter, in the order of their ids: nearly that in which they came."""
    where, values = _names(spec)
    after = uuid7_floor(replay.since - timedelta(microseconds=1))
    before = uuid7_floor(replay.until + timedelta(minutes=5))
    while True:
        wanted = {**values, "after": after, "before": before, "limit": _CHUNK}
        rows = fetch(session, _EVENTS.format(names=where), wanted)
        for row in rows:
            replay.events += 1
            yield Seen.of(row.id, row.event, row.occurred, row.received, row.resource, row.related)
            if replay.events >= EVENTS_MAX:
                replay.is_cut, replay.until = True, row.received
                return
        if len(rows) < _CHUNK:
            return
        after = rows[-1].id


def _names(spec: TriggerSpec) -> tuple[str, dict[str, Any]]:
    """What restricts the events by their names, as SQL."""
    exact: list[str] = []
    for leaf in leaves(spec.condition):
        if isinstance(leaf, (Happening, Absence)):
            patterns = [*leaf.expect, *(leaf.after if isinstance(leaf, Absence) else ())]
            if not leaf.expect or not all(map(triggers.is_exact, patterns)):
                return "true", {}
            exact += patterns
    return "event = ANY(%(exact)s)", {"exact": exact}
