"""Following events as they are stored. One thread a process asks Postgres for all who follow in it.

Followers go along the order in which events are settled, by (transaction, id), below which nothing turns up later
(:mod:`.services.recording.event_cursor`): so each gets every event once, and may leave at one event and go on there.
The newest events are kept in memory; who is further behind reads from the table until it has caught up.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, and_, bindparam, cast, literal_column, select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ..ids import time_of, uuid7_floor
from .db import session as database
from .db.models import Event
from .db.models.event import Xid8
from .services.recording import event_cursor, events
from .services.recording.events import EventFilter

#: Seconds between two looks while somebody follows.
LOOK_S = 0.2
#: ... and after Postgres did not answer.
REST_S = 2.0
#: Events kept in memory; how many are read at a time.
KEPT, PAGE = 2000, 500

_NIL = uuid.UUID(int=0)
_SHOWN = [column for column in Event.__table__.columns if column.name != "xid"]
_XID: ColumnElement[int] = literal_column("xid::text::bigint", BigInteger).label("written_by")
_PLACE = tuple_(Event.xid, Event.id)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, order=True)
class Place:
    """A place in the order of events: all up to it were seen."""

    xid: int
    id: uuid.UUID

    def __str__(self) -> str:
        return f"{self.xid}.{self.id}"


def read_place(session: Session, text: str) -> Place:
    """The place that a text stands for: a place that was given out, or the id of an event. Raises ValueError."""
    number, dot, identifier = text.rpartition(".")
    event_id = uuid.UUID(identifier)
    if not dot:
        return place_of(session, event_id)
    place = Place(int(number), event_id)
    here = now_place(session)
    if place <= here:
        return place
    # It is from before the database was restored into another cluster, which counts transactions anew.
    return here if event_id == _NIL else place_of(session, event_id)


def now_place(session: Session) -> Place:
    """Behind all events that are settled."""
    return Place(event_cursor.settled(session), _NIL)


def place_of(session: Session, event_id: uuid.UUID) -> Place:
    """Behind an event that was seen; one that is kept no longer stands for its time."""
    found = session.execute(select(_XID).where(Event.id == event_id)).scalar()
    return Place(found, event_id) if found is not None else place_since(session, time_of(event_id))


def place_since(session: Session, since: datetime) -> Place:
    """Before the events of a time and later."""
    first = select(_XID).where(Event.id >= uuid7_floor(since)).order_by(Event.xid, Event.id).limit(1)
    found, ahead = session.execute(first).scalar(), event_cursor.settled(session)
    # A database that was restored into another cluster holds transaction ids that are ahead of its own.
    return Place(ahead if found is None else min(found, ahead), _NIL)


class _Feed:
    """The newest events, and how far they go; its thread ends when nobody follows."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.moved = threading.Condition()
        self.begin = self.place = Place(0, _NIL)
        self.rows: deque[Any] = deque()
        self._followers = 0
        self._thread: threading.Thread | None = None

    def join(self) -> None:
        with self.moved:
            self._followers += 1
            if self._thread is None:
                with database.reading() as session:
                    self.begin = self.place = now_place(session)
                self.rows.clear()
                self._thread = threading.Thread(target=self._run, name="event feed", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        with self.moved:
            self._followers -= 1

    def _run(self) -> None:
        while True:
            with self.moved:
                if not self._followers:
                    self._thread = None
                    return
            pause = LOOK_S
            try:
                pause = 0.0 if self._look() else LOOK_S
            except SQLAlchemyError as error:
                _log.warning("event feed: Postgres does not answer (%s)", str(error).splitlines()[0])
                pause = REST_S
            time.sleep(pause)

    def _look(self) -> bool:
        """Read what is new; tells whether there is more."""
        with database.reading() as session:
            until = now_place(session)
            rows = read(session, self.place, until, EventFilter(), PAGE)
        is_more = len(rows) == PAGE
        with self.moved:
            self.rows.extend(rows)
            while len(self.rows) > KEPT:
                self.begin = key(self.rows.popleft())
            self.place = key(rows[-1]) if is_more else max(self.place, until)
            if rows:
                self.moved.notify_all()
        return is_more


_feed = _Feed()


def follow(start: Place | None, wanted: EventFilter, idle: float, end: float) -> Iterator[tuple[Sequence[Any], Place]]:
    """Events as they are settled, in batches, each with the place behind it; at first, and after ``idle`` seconds
    without any, an empty one.

    Args:
        start: Behind which place to begin; None: now.
        end: When, by the monotonic clock, to stop.

    Returns:
        Rows with the columns of ``event``, ``written_by`` beside. Closing the iterator lets go of all that it holds.
    """
    feed = _current()
    feed.join()
    try:
        place = start or feed.place
        yield (), place
        spoken = time.monotonic()
        while (now := time.monotonic()) < end:
            rows, place = _next(feed, place, wanted)
            if rows or now - spoken >= idle:
                spoken = now
                yield rows, place
            else:
                _await(feed, place, min(spoken + idle, end) - now)
    finally:
        feed.leave()


def read(session: Session, after: Place, until: Place, wanted: EventFilter, limit: int) -> list[Any]:
    """Events behind one place and up to another, in the order of the feed."""
    between = and_(_bound(after, "after") < _PLACE, _bound(until, "until") >= _PLACE)
    query = select(*_SHOWN, _XID).where(between, *events.conditions(wanted))
    return list(session.execute(query.order_by(Event.xid, Event.id).limit(limit)).all())


def _next(feed: _Feed, place: Place, wanted: EventFilter) -> tuple[Sequence[Any], Place]:
    with feed.moved:
        until = feed.place
        if place >= feed.begin:
            rows = [row for row in feed.rows if key(row) > place] if until > place else []
            return [row for row in rows if matches(row, wanted)], max(place, until)
    with database.reading() as session:
        found = read(session, place, until, wanted, PAGE)
    return found, key(found[-1]) if len(found) == PAGE else until


def _await(feed: _Feed, place: Place, timeout: float) -> None:
    """Wait until there is more, or the time is over."""
    deadline = time.monotonic() + timeout
    with feed.moved:
        while not feed.rows or key(feed.rows[-1]) <= place:
            left = deadline - time.monotonic()
            if left <= 0 or not feed.moved.wait(left):
                return


def matches(row: Any, wanted: EventFilter) -> bool:
    """Whether an event is one of those asked for, by all but its time."""
    plain = {"resource_id": wanted.resource_id, "kind": wanted.kind, "source": wanted.source}
    if any(value and getattr(row, name) != value for name, value in plain.items()):
        return False
    if wanted.by and wanted.by.casefold() not in str((row.payload.get("by") or {}).get("name", "")).casefold():
        return False
    names = events.patterns(wanted)
    return not names or any(_fits(row.event, name) for name in names)


def _fits(event: str, pattern: str) -> bool:
    if "*" not in pattern:
        return event == pattern
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), event, re.DOTALL) is not None


def _bound(place: Place, name: str) -> Any:
    xid = cast(bindparam(f"{name}_xid", str(place.xid), Text), Xid8())
    return tuple_(xid, bindparam(f"{name}_id", place.id))


def key(row: Any) -> Place:
    return Place(row.written_by, row.id)


def _current() -> _Feed:
    global _feed
    if _feed.pid != os.getpid():
        _feed = _Feed()
    return _feed
