"""Reading all events in turn, each exactly once, although transactions commit in another order than they write.

Every transaction that writes events holds the event lock, shared, from before it is given its transaction id
(:mod:`...db.session`). So a reader asks: where transaction ids stood at that moment (the snapshot's ``xmax``); after
that the lowest id among the holders of the lock; then, by a statement of its own, the events of transactions below
both. What wrote them has ended: nothing can turn up among them later. Whoever has an id below but no lock any more
committed or rolled back before that statement; whoever takes the lock later gets a higher id.

All processes of the server have one role in the database: of others Postgres does not show the transaction ids.

The place that a reader has come to is a row that it locks and moves in the transaction that does what the events ask
for: two readers of one name follow each other, and a rollback undoes both.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ....ids import uuid7_floor
from ...db.session import EVENT_LOCK
from ..statements import execute, fetch

#: Ids of events are no closer in order than this: where ids alone tell what was read, so much is read again.
OVERLAP = timedelta(minutes=5)

_NIL = uuid.UUID(int=0)
#: One statement: its snapshot is taken before it begins, the holders are read while it runs.
_WHERE = f"""
SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS ahead, array(
    SELECT a.backend_xid::text::bigint FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.classid = {EVENT_LOCK[0]} AND l.objid = {EVENT_LOCK[1]} AND l.objsubid = 2
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND a.backend_xid IS NOT NULL) AS holders"""
_CLUSTER = "SELECT system_identifier FROM pg_control_system()"
_LOCKED = """
SELECT cluster, xid::text::bigint AS xid, event_id, at, floor FROM event_cursor WHERE reader = %(reader)s FOR UPDATE"""
_BEGIN = """
INSERT INTO event_cursor (reader, cluster, xid, event_id, at, floor)
VALUES (%(reader)s, %(cluster)s, %(xid)s::text::xid8, %(id)s, %(at)s, %(floor)s) ON CONFLICT DO NOTHING"""
_MOVE = """
UPDATE event_cursor SET cluster = %(cluster)s, xid = %(xid)s::text::xid8, event_id = %(id)s, at = %(at)s,
    floor = %(floor)s
WHERE reader = %(reader)s"""
#: The transaction id has another name than the column, which would else be what the rows are sorted by, without index.
_NEXT = """
SELECT {columns}, xid::text::bigint AS written_by FROM event
WHERE (xid, id) > (%(xid)s::text::xid8, %(id)s) AND xid < %(bound)s::text::xid8 AND id > %(floor)s
ORDER BY xid, id LIMIT %(limit)s"""
_UNREAD = """
SELECT 1 FROM event e, event_cursor c
WHERE c.reader = %(reader)s AND (e.xid, e.id) > (c.xid, c.event_id) AND e.id > c.floor LIMIT 1"""
_NEWS = """
SELECT c.cluster, EXISTS (
    SELECT 1 FROM event e WHERE (e.xid, e.id) > (c.xid, c.event_id) AND e.id > c.floor) AS unread
FROM event_cursor c WHERE c.reader = %(reader)s"""
_NEXT_BY_ID = "SELECT {columns} FROM event WHERE id > %(id)s ORDER BY id LIMIT %(limit)s"


def take(session: Session, reader: str, columns: Sequence[str], limit: int, now: datetime) -> list[Any]:
    """The next events for a reader, at most ``limit``, and its cursor behind them.

    A reader begins with what happens after its first call. After a restore into another cluster, where the transaction
    ids in the rows mean nothing, it goes on by the events' ids; what it read in the last :data:`OVERLAP` before comes
    again then, so that what it does needs a key of its own.

    Args:
        columns: Columns of ``event`` to give, ``id`` among them.
    """
    place = _place(session, reader, now)
    if place is None:
        return []
    bound, cluster = _bound(session), _cluster(session)
    if place.cluster != cluster:
        return _take_by_id(session, reader, columns, limit, now, place, bound, cluster)
    wanted = {"xid": place.xid, "id": place.event_id, "bound": bound, "floor": place.floor, "limit": limit}
    rows = fetch(session, _NEXT.format(columns=", ".join(columns)), wanted)
    if rows:
        _move(session, reader, cluster, rows[-1].written_by, rows[-1].id, now, place.floor)
    return rows


def skip(session: Session, reader: str, now: datetime) -> None:
    """Count all events up to now as read; nothing is written where there are none."""
    found = fetch(session, _NEWS, {"reader": reader})
    if found and found[0].cluster == _cluster(session) and not found[0].unread:
        return
    place = _place(session, reader, now)
    if place is not None:
        floor = place.floor if place.cluster == _cluster(session) else uuid7_floor(now - OVERLAP)
        _move(session, reader, _cluster(session), _bound(session), _NIL, now, floor)


def is_behind(session: Session, reader: str) -> bool:
    """Whether there are events that the reader, which just took some, could not read, because a transaction that began
    earlier, and may write none itself, was not over. Nobody wakes readers when it is.
    """
    return bool(session.info.get("event_holders") and fetch(session, _UNREAD, {"reader": reader}))


def moved(session: Session, reader: str) -> datetime | None:
    """When a reader's cursor was moved last; None: it has none."""
    found = fetch(session, "SELECT at FROM event_cursor WHERE reader = %(reader)s", {"reader": reader})
    return found[0].at if found else None


def settled(session: Session) -> int:
    """Below which transaction id every event is there that will ever be; ask outside of a transaction."""
    return _bound(session)


def _place(session: Session, reader: str, now: datetime) -> Any:
    """The reader's row, locked; None: it was just made, at the end of what there is."""
    found = fetch(session, _LOCKED, {"reader": reader})
    if found:
        return found[0]
    values = {
        "reader": reader, "cluster": _cluster(session), "xid": _bound(session), "id": _NIL, "at": now, "floor": _NIL,
    }  # fmt: skip
    execute(session, _BEGIN, values)
    return None


def _bound(session: Session) -> int:
    """All events of transactions with lower ids are there, or never will be."""
    row = fetch(session, _WHERE, {})[0]
    ahead: int = row.ahead
    bound = min([ahead, *(_whole(xid, ahead) for xid in row.holders)])
    session.info["event_holders"] = bound < ahead
    return bound


def _whole(xid: int, near: int) -> int:
    """A 32-bit transaction id with its epoch, by a whole one that is less than 2^31 away."""
    whole = (near >> 32 << 32) | xid
    if whole - near > 1 << 31:
        return whole - (1 << 32)
    return whole + (1 << 32) if near - whole > 1 << 31 else whole


def _cluster(session: Session) -> int:
    """The cluster that the session is connected to; a connection never comes to another one."""
    about = session.connection().info
    if "cluster" not in about:
        about["cluster"] = fetch(session, _CLUSTER, {})[0].system_identifier
    found: int = about["cluster"]
    return found


def _take_by_id(
    session: Session,
    reader: str,
    columns: Sequence[str],
    limit: int,
    now: datetime,
    place: Any,
    bound: int,
    cluster: int,
) -> list[Any]:
    begun = uuid7_floor(place.at - OVERLAP)
    after = max(begun, place.event_id) if place.xid == 0 else begun
    rows = fetch(session, _NEXT_BY_ID.format(columns=", ".join(columns)), {"id": after, "limit": limit})
    if len(rows) < limit:
        # Whatever the old cluster wrote has been read; its transaction ids may well lie ahead of ours.
        _move(session, reader, cluster, bound, _NIL, now, uuid7_floor(now - OVERLAP))
    else:
        _move(session, reader, place.cluster, 0, rows[-1].id, place.at, place.floor)
    return rows


def _move(
    session: Session, reader: str, cluster: int, xid: int, event_id: uuid.UUID, at: datetime, floor: uuid.UUID
) -> None:
    values = {"reader": reader, "cluster": cluster, "xid": xid, "id": event_id, "at": at, "floor": floor}
    execute(session, _MOVE, values)
