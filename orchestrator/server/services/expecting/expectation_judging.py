"""Judges expectations: reads what happened along the commit-safe cursor, and, once that has come to now, the clock.

Everything goes by the times at which things happened. A deadline is judged when all that is stored has been read and
:attr:`~orchestrator.settings.Settings.expectation_lateness` has passed since; while the API is away nobody could tell
us anything, so nothing is judged then, and after an outage there is :data:`SETTLING` for what was held back to arrive.
What happened to runs is read from their own history, once more right before one of them is missed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....expectations import DUE, EACH_RUN, MET, MISSED, STREAK, Arrival, Occurrence, follow
from ...config import current
from ...db.models import Event, ExpectationOccurrence
from .. import ticks
from ..recording import event_cursor
from . import expectation_making, expectation_telling, run_arrivals
from .expectation_watch import RUN_PREFIX, Watch, Watched, load
from .occurrences import state_of, write
from .run_arrivals import RunFacts

READER = "expectations"
#: How long the API must have been back before deadlines of its absence are judged.
SETTLING = timedelta(seconds=30)
#: A deadline that is judged so long after it could have been is marked so.
LATE_AFTER = timedelta(minutes=1)

#: What arrived, by expectation and key.
Found = dict[tuple[uuid.UUID, str], list[Arrival]]


def step(session: Session, now: datetime, batch: int) -> int:
    """Make, read, judge; returns how much was done: a full batch means that there is more."""
    watched = load(session)
    if not watched.by_id:
        event_cursor.skip(session, READER, now)
        return 0
    if not expectation_making.step(session, watched, now):
        return batch
    rows = event_cursor.take(session, READER, ("id", "event", "resource_id"), batch, now)
    _hear(session, watched, rows, now)
    if len(rows) >= batch:
        return batch
    return max(len(rows), judge(session, watched, now, batch))


def judge(session: Session, watched: Watched, now: datetime, batch: int) -> int:
    """Judge deadlines that have passed; returns how many."""
    known = known_to(session, now)
    if known is None:
        return 0
    query = select(ExpectationOccurrence).where(
        ExpectationOccurrence.status == DUE,
        ExpectationOccurrence.deadline <= known,
        ExpectationOccurrence.expectation_id.in_(list(watched.by_id)),
    )
    query = query.order_by(ExpectationOccurrence.deadline, ExpectationOccurrence.id).limit(batch)
    rows = session.scalars(query.with_for_update()).all()
    for row in rows:
        watch = watched.by_id[row.expectation_id]
        if watch.runs is not None and not _reread(session, watch, row, now):
            continue
        _settle(session, watch, row, state_of(row, watch.spec.count).judge(known), now)
    session.flush()
    return len(rows)


def known_to(session: Session, now: datetime) -> datetime | None:
    """Up to when everything that happened is known; None while nobody can tell us anything."""
    # What was due while the API was away waits for what was held back meanwhile.
    if ticks.api_up_for(session, now) < SETTLING:
        return None
    return now - current().expectation_lateness


# -- what happened


def _hear(session: Session, watched: Watched, rows: Sequence[Any], now: datetime) -> None:
    """Take in what events tell."""
    found: Found = {}
    wanted = [row.id for row in rows if watched.concerned(row.event)]
    if wanted:
        query = select(Event.id, Event.event, Event.occurred, Event.received, Event.resource, Event.related)
        for event in session.execute(query.where(Event.id.in_(wanted))):
            arrival = Arrival(min(event.occurred, event.received), str(event.id))
            for watch in watched.concerned(event.event):
                key = watch.key_of(event.resource, event.related)
                if key is not None:
                    found.setdefault((watch.id, key), []).append(arrival)
    if watched.of_runs:
        _hear_runs(session, watched, _run_ids(rows), found, now)
    for (identifier, key), arrivals in found.items():
        _take(session, watched.by_id[identifier], key, sorted(arrivals), now)
    session.flush()


def _run_ids(rows: Sequence[Any]) -> set[uuid.UUID]:
    found = set()
    for row in rows:
        if row.event.startswith("flow-run.") and row.resource_id.startswith(RUN_PREFIX):
            try:
                found.add(uuid.UUID(row.resource_id[len(RUN_PREFIX) :]))
            except ValueError:
                continue
    return found


def _hear_runs(session: Session, watched: Watched, ids: set[uuid.UUID], found: Found, now: datetime) -> None:
    for facts in run_arrivals.of(session, ids).values():
        for watch in watched.of_runs:
            assert watch.runs is not None
            if not run_arrivals.concerns(watch.runs, facts):
                continue
            if watch.spec.kind == EACH_RUN:
                _hear_each(session, watch, facts, now)
            elif arrivals := facts.arrivals(watch.runs):
                found.setdefault((watch.id, ""), []).extend(arrivals)


def _hear_each(session: Session, watch: Watch, facts: RunFacts, now: datetime) -> None:
    """Expect that a run finishes, from its beginning on."""
    assert watch.runs is not None
    assert watch.runs.finishes_within is not None
    key = str(facts.id)
    row = session.scalar(_of(watch.id, key).with_for_update())
    began = facts.began(watch.runs)
    if row is None:
        if began is None or began < watch.since:
            return
        due = began + watch.runs.finishes_within
        begun = Occurrence(began, began, due, due + watch.spec.grace)
        expectation_making.insert_rows(session, watch, [(key, begun)], now)
        row = session.scalars(_of(watch.id, key).with_for_update()).one()
    _settle(session, watch, row, _taken(state_of(row, 1), facts.arrivals(watch.runs)), now)


def _taken(found: Occurrence, arrivals: Iterable[Arrival]) -> Occurrence:
    for arrival in arrivals:
        found = found.take(arrival)
    return found


def _take(session: Session, watch: Watch, key: str, arrivals: Sequence[Arrival], now: datetime) -> None:
    """Count what arrived for one key, in the order of its times."""
    if watch.is_open_ended and session.scalar(_of(watch.id, key)) is None:
        expectation_making.new_key(session, watch, key, arrivals[0].at, now)
    if watch.spec.kind == STREAK:
        for arrival in arrivals:
            _continue(session, watch, key, arrival, now)
        return
    row = ExpectationOccurrence
    query = _of(watch.id, key, None).where(row.opens <= arrivals[-1].at, row.status != MET)
    query = query.where((row.closes > arrivals[0].at) | row.closes.is_(None) | (row.deadline >= arrivals[0].at))
    for found in session.scalars(query.order_by(row.slot).with_for_update()):
        _settle(session, watch, found, _taken(state_of(found, watch.spec.count), arrivals), now)


def _continue(session: Session, watch: Watch, key: str, arrival: Arrival, now: datetime) -> None:
    """Have a streak go on, or end and be followed by another."""
    # The one before may have ended too early in our eyes, where things are heard of out of order.
    for row in session.scalars(_of(watch.id, key, 2).with_for_update()).all():
        streak, following = follow(state_of(row, 1), arrival, watch.reach, watch.spec.grace)
        _settle(session, watch, row, streak, now)
        if following is not None:
            session.flush()
            expectation_making.insert_rows(session, watch, [(key, following)], now)
            return


def _of(identifier: uuid.UUID, key: str, limit: int | None = 1) -> Any:
    """The latest occurrences of a key."""
    row = ExpectationOccurrence
    query = select(row).where(row.expectation_id == identifier, row.key == key).order_by(row.slot.desc())
    return query if limit is None else query.limit(limit)


# -- what becomes of it


def _reread(session: Session, watch: Watch, row: ExpectationOccurrence, now: datetime) -> bool:
    """Look at the runs themselves before one is missed; returns whether there is still something to judge."""
    assert watch.runs is not None
    if watch.spec.kind == EACH_RUN:
        facts = run_arrivals.of(session, [uuid.UUID(row.key)]).get(uuid.UUID(row.key))
        if facts is None:  # Deleted, or its schedule was changed before it started.
            session.delete(row)
            return False
        arrivals = facts.arrivals(watch.runs)
    else:
        arrivals = run_arrivals.between(session, watch.runs, row.opens, row.deadline)
    if watch.spec.kind == STREAK:
        for arrival in arrivals:
            _continue(session, watch, row.key, arrival, now)
    else:
        _settle(session, watch, row, _taken(state_of(row, watch.spec.count), arrivals), now)
    return row.status == DUE and row.deadline <= now


def _settle(session: Session, watch: Watch, row: ExpectationOccurrence, found: Occurrence, now: datetime) -> None:
    """Write what was found of an occurrence, and tell what is news."""
    before = row.status
    if found == state_of(row, found.count):
        return
    write(row, found, now)
    if found.status == before:
        return
    if found.status == MISSED:
        row.judged = now
        row.judged_late = now - found.deadline - current().expectation_lateness > LATE_AFTER
    row.satisfied = found.closes if watch.spec.kind == STREAK else found.satisfied
    expectation_telling.tell(session, watch, row, before, now)
