"""Makes occurrences ahead of time: what is expected can be seen, and what never happens has a row to be missed.

Along a schedule they reach :data:`AHEAD` ahead, with at most :data:`SLOTS` slots; those of an outage are made once it
is over. What is expected again and again has one that is due at any time.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ....expectations import STREAK, TIMETABLE, Arrival, Events, Occurrence, Window, begin_streak
from ....ids import uuid7_floor
from ...db.models import Event, Expectation, ExpectationOccurrence
from . import run_arrivals
from .expectation_watch import Watch, Watched
from .occurrences import new_row

AHEAD, SLOTS = timedelta(days=7), 100
#: Rows that one expectation has ahead, where it is expected of many keys.
ROWS = 5_000
#: Keys that are followed where they are whatever is seen.
KEYS = 1000
#: Events that are looked through for the last one before an expectation was made.
LOOK_BACK = 20_000


def step(session: Session, watched: Watched, now: datetime) -> bool:
    """Make what is wanting; returns whether all is made up to now."""
    made_to = _made_to(session, watched, now)
    is_done = True
    for identifier, to in made_to.items():
        watch = watched.by_id[identifier]
        if to is None and watch.spec.kind != TIMETABLE:
            _begin(session, watch, now)
        elif watch.spec.kind == TIMETABLE:
            is_done = _extend(session, watch, to, now) and is_done
    return is_done


def new_key(session: Session, watch: Watch, key: str, at: datetime, now: datetime) -> None:
    """Expect something of a key that was not heard of before ``at``."""
    if len(_seen_keys(session, watch)) >= KEYS:
        return
    if watch.spec.kind == STREAK:
        insert_rows(session, watch, [(key, begin_streak(at, watch.reach, watch.spec.grace))], now)
        return
    made_to = session.scalar(select(Expectation.materialised_to).where(Expectation.id == watch.id))
    if made_to is None:
        return
    windows = [one for one in watch.timetable.windows(_before(watch, at), SLOTS, made_to) if one.deadline >= at]
    insert_rows(session, watch, [(key, _expected(watch, one)) for one in windows if one.opens >= watch.since], now)


def insert_rows(session: Session, watch: Watch, found: Iterable[tuple[str, Occurrence]], now: datetime) -> None:
    """Write occurrences, each with its key; those that are there stay."""
    rows = [new_row(watch.id, key, occurrence, now) for key, occurrence in found]
    names = ("id", "expectation_id", "key", "slot", "opens", "due", "deadline", "closes", "status", "hits", "updated")
    for start in range(0, len(rows), 1000):
        values = [{name: getattr(row, name) for name in names} for row in rows[start : start + 1000]]
        session.execute(insert(ExpectationOccurrence).values(values).on_conflict_do_nothing())


def last_seen(session: Session, watch: Watch, now: datetime) -> dict[str, Arrival]:
    """The last thing that counts of each key, among what is stored of one span before now."""
    assert watch.spec.within is not None
    start = min(now - watch.spec.within - watch.spec.grace, now)
    if watch.runs is not None:
        found = run_arrivals.between(session, watch.runs, start, now)
        return {"": max(found)} if found else {}
    assert isinstance(watch.spec.what, Events)
    query = select(Event.id, Event.occurred, Event.received, Event.resource, Event.related)
    query = query.where(Event.id >= uuid7_floor(start))
    exact = [name for name in watch.spec.what.expect if "*" not in name and not name.startswith("!")]
    if exact and len(exact) == len(watch.spec.what.expect):
        query = query.where(Event.event.in_(exact))
    last: dict[str, Arrival] = {}
    for row in session.execute(query.order_by(Event.id.desc()).limit(LOOK_BACK)):
        key = watch.key_of(row.resource, row.related)
        at = min(row.occurred, row.received)
        if key is not None and at >= start and (key not in last or at > last[key].at) and len(last) < KEYS:
            last[key] = Arrival(at, str(row.id))
    return last


def _made_to(session: Session, watched: Watched, now: datetime) -> dict[uuid.UUID, datetime | None]:
    """Expectations that want occurrences, locked for whoever makes them."""
    row = Expectation
    query = select(row.id, row.materialised_to).where(row.active, row.materialised_to.is_(None) | (row.refill <= now))
    query = query.order_by(row.id).with_for_update()
    return {identifier: to for identifier, to in session.execute(query) if identifier in watched.by_id}


def _begin(session: Session, watch: Watch, now: datetime) -> None:
    """Of what is expected again and again, begin the streaks; what is expected of runs is made with them."""
    if watch.spec.kind == STREAK:
        last = last_seen(session, watch, now)
        keys = watch.spec.each_of or (tuple(last) if watch.is_open_ended else ("",))
        starts = {key: last[key].at if key in last else watch.since for key in keys}
        begun = [(key, begin_streak(at, watch.reach, watch.spec.grace)) for key, at in starts.items()]
        insert_rows(session, watch, begun, now)
    _note(session, watch.id, now, None)


def _extend(session: Session, watch: Watch, made_to: datetime | None, now: datetime) -> bool:
    """Make windows; returns whether they reach beyond now."""
    keys = watch.spec.each_of or (_seen_keys(session, watch) if watch.is_open_ended else ("",))
    start = made_to or watch.since
    far = max(now, start) + AHEAD
    most = max(2, min(SLOTS, ROWS // max(1, len(keys))))
    windows = watch.timetable.windows(start, most, far)
    wanted = [one for one in windows if made_to is not None or one.opens >= watch.since]
    insert_rows(session, watch, [(key, _expected(watch, one)) for key in keys for one in wanted], now)
    is_full = len(windows) == most
    reached = windows[-1].slot if is_full else far
    # Once half of them have passed, more are made.
    _note(session, watch.id, reached, windows[most // 2].slot if is_full else far - timedelta(days=1))
    return reached > now


def _expected(watch: Watch, window: Window) -> Occurrence:
    return Occurrence(window.slot, window.opens, window.due, window.deadline, window.closes, watch.spec.count)


def _before(watch: Watch, at: datetime) -> datetime:
    """Slots whose windows may hold ``at`` are later than this."""
    by = watch.spec.by
    width = by if isinstance(by, timedelta) else timedelta(days=2)
    return at - width - watch.spec.grace - timedelta(seconds=1)


def _note(session: Session, identifier: uuid.UUID, made_to: datetime, refill: datetime | None) -> None:
    values = {"materialised_to": made_to, "refill": refill}
    session.execute(update(Expectation).where(Expectation.id == identifier).values(values))


def _seen_keys(session: Session, watch: Watch) -> Sequence[str]:
    row = ExpectationOccurrence
    query = select(row.key).where(row.expectation_id == watch.id).distinct().order_by(row.key)
    return session.scalars(query.limit(KEYS)).all()
