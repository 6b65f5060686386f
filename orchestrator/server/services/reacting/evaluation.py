"""Triggers against events and the clock: what fires, is over, and is asked to be done, in one transaction each step.

Events are read along the commit-safe cursor (:mod:`..recording.event_cursor`), whose row is locked: any number of
evaluators follow one another, a step that dies undoes itself whole, and a firing has a unique key in any case. What
each trigger remembers by key (:class:`...db.models.TriggerBucket`) moves with the cursor.

What the clock decides is decided when all that was committed has been read, and for times before anything that was
not: an event that is known too late did come too late, by more than ``TRIGGER_LATENESS``.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from .... import triggers
from ....triggers import Outcome, Seen, stamp
from ....triggers.conditions import Metric
from ... import hints
from ...config import current
from ...db.json_text import json_text
from ...db.session import after_commit
from ..recording import event_cursor
from ..statements import execute, fetch
from . import trigger_firings, trigger_index, trigger_metrics
from .trigger_firings import Noted
from .trigger_index import Book, Known

READER = "triggers"
COLUMNS = ("id", "event", "occurred", "received", "resource", "related")
#: Keys whose deadlines are decided in one step.
KEYS = 500
#: How often a metric is measured.
MEASURED = timedelta(seconds=30)
#: How near the cursor is kept behind the events where nobody listens.
NEAR = timedelta(seconds=0.9)
#: Times that a step begins anew because a trigger was changed meanwhile, before it leaves it to the next.
TRIES = 5

_LOCKED = "SELECT id, updated FROM trigger WHERE id = ANY(%(ids)s) AND active ORDER BY id FOR SHARE"
_BUCKETS = """
SELECT b.trigger_id, b.key, b.state FROM trigger_bucket b
JOIN unnest(%(triggers)s::uuid[], %(keys)s::text[]) AS w(trigger_id, key)
    ON w.trigger_id = b.trigger_id AND w.key = b.key"""
_DUE = """
SELECT trigger_id, key, state FROM trigger_bucket
WHERE deadline <= %(clock)s OR (deadline <= %(now)s AND trigger_id = ANY(%(by_clock)s))
ORDER BY deadline, trigger_id, key LIMIT %(limit)s"""
_KEEP = """
INSERT INTO trigger_bucket (trigger_id, key, state, deadline, updated)
SELECT t, k, s::jsonb, d, %(now)s
FROM unnest(%(triggers)s::uuid[], %(keys)s::text[], %(states)s::text[], %(deadlines)s::timestamptz[]) AS x(t, k, s, d)
ON CONFLICT (trigger_id, key) DO UPDATE
SET state = excluded.state, deadline = excluded.deadline, updated = excluded.updated"""
_DROP = """
DELETE FROM trigger_bucket b USING unnest(%(triggers)s::uuid[], %(keys)s::text[]) AS x(t, k)
WHERE b.trigger_id = x.t AND b.key = x.k"""
_UNREAD = """
SELECT min(least(e.occurred, e.received)) AS first FROM event e, event_cursor c
WHERE c.reader = %(reader)s AND (e.xid, e.id) > (c.xid, c.event_id) AND e.id > c.floor"""


class Changed(Exception):
    """A trigger was changed while a step was prepared."""


@dataclass
class _Step:
    """What is found out in one step, before it is written."""

    book: Book
    now: datetime
    states: dict[tuple[uuid.UUID, str], dict[str, Any] | None] = field(default_factory=dict)
    deadlines: dict[tuple[uuid.UUID, str], int | None] = field(default_factory=dict)
    noted: list[Noted] = field(default_factory=list)

    def take(self, known: Known, key: str, outcome: Outcome, event: Seen | None) -> None:
        """Take over what one key's machine gave."""
        if triggers.remembers(known.spec):
            self.states[known.id, key] = outcome.state
            self.deadlines[known.id, key] = outcome.deadline
        self.noted += [Noted(known, item, event) for item in outcome.happened]


def step(session: Session, now: datetime, batch: int) -> int:
    """Read the next events, at most ``batch``, and if that were all, let the clock decide; returns how much there was:
    ``batch`` or more means that there is more.
    """
    # Whether there is any now is asked once the events were taken: what this process knew last will do here.
    if not trigger_index.last(session).known and _skip(session, now):
        return 0
    rows = event_cursor.take(session, READER, COLUMNS, batch, now)
    if len(rows) < batch and event_cursor.is_behind(session, READER):
        after_commit(session, hints.wake_again, "triggers")
    seen = [Seen.of(row.id, row.event, row.occurred, row.received, row.resource, row.related) for row in rows]
    work = _read(session, seen, now)
    due = _judge(session, work) if len(rows) < batch else 0
    _write(session, work)
    trigger_firings.write(session, work.noted, now)
    return batch if due >= KEYS else len(rows)


def _skip(session: Session, now: datetime) -> bool:
    """Where nobody listens, go to the end if it may be far; False when somebody begins to just now."""
    moved = event_cursor.moved(session, READER)
    if moved is not None and timedelta(0) <= now - moved < NEAR:
        return True  # what happened meanwhile is read with what a trigger begins with, which is too old for it
    nested = session.begin_nested()
    event_cursor.skip(session, READER, now)
    if trigger_index.current(session).known:
        nested.rollback()
        return False
    nested.commit()
    return True


def _read(session: Session, seen: Sequence[Seen], now: datetime) -> _Step:
    """Have every trigger take in the events that count for it."""
    for _ in range(TRIES):
        book = trigger_index.current(session)
        found = [
            (known, event, key)
            for event in seen
            for known in book.concerned(event)
            if (key := triggers.key_text(known.spec, event)) is not None
        ]
        if _hold(session, {known.id: known for known, _, _ in found}):
            break
    else:
        raise Changed("triggers are being changed faster than they can be read")
    work = _Step(book, now)
    _load(session, work, {(known.id, key) for known, _, key in found if triggers.remembers(known.spec)})
    for known, event, key in found:
        state = work.states.get((known.id, key))
        work.take(known, key, triggers.advance(known.spec, state, event, key, known.since), event)
    return work


def _hold(session: Session, known: dict[uuid.UUID, Known]) -> bool:
    """Keep triggers as they are until the step is over; False when one is not as it was read."""
    if not known:
        return True
    rows = fetch(session, _LOCKED, {"ids": list(known)})
    return len(rows) == len(known) and all(known[row.id].updated == row.updated for row in rows)


def _load(session: Session, work: _Step, wanted: Iterable[tuple[uuid.UUID, str]]) -> None:
    pairs = sorted(set(wanted), key=lambda pair: (pair[0].bytes, pair[1]))
    if pairs:
        values = {"triggers": [pair[0] for pair in pairs], "keys": [pair[1] for pair in pairs]}
        for row in fetch(session, _BUCKETS, values):
            work.states[row.trigger_id, row.key] = row.state


def _judge(session: Session, work: _Step) -> int:
    """Decide what has fallen due, all that was committed until now having been read; returns how many keys."""
    if not work.book.has_clocks:
        return 0
    _write(session, work)
    # Mostly nothing is due, however far the clock may go: then it need not be known how far that is.
    if not _due(session, work, work.now - current().trigger_lateness):
        return 0
    clock = _clock(session, work.now)
    rows = _due(session, work, clock)
    known = {row.trigger_id: work.book.known[row.trigger_id] for row in rows}
    if not _hold(session, known):
        return KEYS  # the next step reads them anew
    by_clock = set(work.book.by_clock)
    for row in rows:
        found = known[row.trigger_id]
        if isinstance(found.spec.condition, Metric):
            value = trigger_metrics.measure(session, found.spec.condition, work.now)
            outcome = triggers.measure(found.spec, row.state, value, stamp(work.now))
            outcome.deadline = stamp(work.now + MEASURED)
        else:
            until = work.now if row.trigger_id in by_clock else clock
            outcome = triggers.pass_time(found.spec, row.state, row.key, stamp(until))
        work.take(found, row.key, outcome, None)
    return len(rows)


def _due(session: Session, work: _Step, clock: datetime) -> list[Any]:
    """Keys of active triggers whose deadlines lie before the clock's time."""
    values = {"clock": clock, "now": work.now, "by_clock": work.book.by_clock, "limit": KEYS}
    return [row for row in fetch(session, _DUE, values) if row.trigger_id in work.book.known]


def _clock(session: Session, now: datetime) -> datetime:
    """Up to when all is known: some time ago, and before whatever is committed but could not be read yet, because a
    transaction that began earlier is still writing.
    """
    clock = now - current().trigger_lateness
    first = fetch(session, _UNREAD, {"reader": READER})[0].first
    return clock if first is None else min(clock, first - timedelta(microseconds=1))


def _write(session: Session, work: _Step) -> None:
    """Store what is remembered."""
    kept = [(pair, state) for pair, state in work.states.items() if state is not None and pair in work.deadlines]
    dropped = [pair for pair, state in work.states.items() if state is None and pair in work.deadlines]
    if kept:
        deadlines = [work.deadlines[pair] for pair, _ in kept]
        values = {
            "triggers": [pair[0] for pair, _ in kept],
            "keys": [pair[1] for pair, _ in kept],
            "states": [json_text(state) for _, state in kept],
            "deadlines": [None if due is None else triggers.instant(due) for due in deadlines],
            "now": work.now,
        }
        execute(session, _KEEP, values)
    if dropped:
        execute(session, _DROP, {"triggers": [pair[0] for pair in dropped], "keys": [pair[1] for pair in dropped]})
    work.states.clear()
    work.deadlines.clear()
