"""Cached results: what calls of tasks share across runs, and the locks under which they are computed.

A lock is a lease with a holder. One that ran out may be taken by another, once the API itself has been up for a full
lease: while it was away, nobody could renew.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any, TypedDict

from sqlalchemy import delete as delete_from
from sqlalchemy import or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ....clock import from_text
from ....documents.records import Actor
from ....errors import InvalidInput, NotFound
from ...config import current
from ...db.json_text import json_text
from ...db.models import CachedResult, CacheLock
from .. import ticks
from ..paging import Page, check_limit, decode, page
from ..recording.announcements import announce, resource
from ..statements import execute, fetch
from .reported import REFERENCE_MAX

_LOCK = """
INSERT INTO cache_lock AS l (id, holder, until) VALUES (%(id)s, %(holder)s, %(until)s)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE l.holder = excluded.holder OR (l.until < %(now)s AND %(up)s >= %(lease)s)
RETURNING id"""
_RENEW = "UPDATE cache_lock SET until = %(until)s WHERE id = %(id)s AND holder = %(holder)s"
_FORGET = """
DELETE FROM cached_result WHERE id IN (
    SELECT id FROM cached_result WHERE expires <= %(now)s OR created < %(before)s
    LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""
#: Locks whose holders died long ago, and that nobody wanted since.
_LAPSED = "DELETE FROM cache_lock WHERE until < %(lapsed)s"


class Facts(TypedDict):
    """What is kept under a key."""

    key: str
    task_key: str
    result: dict[str, Any]
    expires_in_s: float | None
    flow_run_id: uuid.UUID | None
    task_run_id: uuid.UUID | None


def get(session: Session, key_id: uuid.UUID, now: datetime) -> CachedResult:
    """A cached result. Raises NotFound where there is none, or where it has expired."""
    found = session.get(CachedResult, key_id)
    if found is None or (found.expires is not None and found.expires <= now):
        raise NotFound(f"there is no cached result {key_id}")
    return found


def put(session: Session, key_id: uuid.UUID, facts: Facts, lock: uuid.UUID | None, now: datetime) -> CachedResult:
    """Keep a result in place of what was there, and give a lock back.

    Raises:
        InvalidInput: The result is larger than may be kept.
    """
    _check(facts["result"])
    plain = {name: value for name, value in facts.items() if name != "expires_in_s"}
    seconds = facts["expires_in_s"]
    expires = None if seconds is None else now + timedelta(seconds=seconds)
    values = {**plain, "expires": expires, "created": now}
    statement = insert(CachedResult).values(id=key_id, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    if lock is not None:
        unlock(session, key_id, lock)
    return session.get_one(CachedResult, key_id, populate_existing=True)


def lock(
    session: Session, key_id: uuid.UUID, holder: uuid.UUID, lease: timedelta, now: datetime, *, renew: bool = False
) -> bool:
    """Take the lock of a key, or keep it for longer; whether the holder has it now."""
    values = {"id": key_id, "holder": holder, "until": now + lease, "now": now, "lease": lease}
    if renew:
        return execute(session, _RENEW, values) > 0
    return bool(fetch(session, _LOCK, {**values, "up": ticks.api_up_for(session, now)}))


def unlock(session: Session, key_id: uuid.UUID, holder: uuid.UUID) -> None:
    """Give a lock back; nothing happens where the holder does not have it."""
    session.execute(delete_from(CacheLock).where(CacheLock.id == key_id, CacheLock.holder == holder))


def listing(
    session: Session, now: datetime, task_key: str | None = None, limit: int = 50, cursor: str | None = None
) -> Page[CachedResult]:
    """A page of cached results, newest first; without those that have expired."""
    query: Any = select(CachedResult).where(or_(CachedResult.expires.is_(None), CachedResult.expires > now))
    if task_key:
        query = query.where(CachedResult.task_key.icontains(task_key, autoescape=True))
    if cursor:
        at, last = decode(cursor, from_text, uuid.UUID)
        query = query.where(tuple_(CachedResult.created, CachedResult.id) < tuple_(at, last))
    query = query.order_by(CachedResult.created.desc(), CachedResult.id.desc()).limit(check_limit(limit) + 1)
    return page(session.scalars(query).all(), limit, lambda row: (row.created, row.id))


def delete(session: Session, key_id: uuid.UUID, actor: Actor, now: datetime) -> None:
    """Forget a cached result: the next call computes it anew. Raises NotFound."""
    found = get(session, key_id, now)
    session.delete(found)
    session.flush()
    about = resource("cached-result", found.id, found.key)
    announce(session, "cached-result.deleted", about, actor, now, before={"task_key": found.task_key})


def forget(session: Session, now: datetime, batch: int) -> int:
    """Delete results that have expired or are as old as runs may become, and locks of the dead; how many there were."""
    gone = execute(session, _FORGET, {"now": now, "before": now - current().run_retention, "batch": batch})
    execute(session, _LAPSED, {"lapsed": now - timedelta(days=1)})
    return gone


def _check(result: dict[str, Any]) -> None:
    most = current().results_inline_max if "value" in result else REFERENCE_MAX
    size = len(json_text(result))
    if size > most + len('{"value":}'):
        problem = f"Takes {size:,} bytes: at most {most:,} are kept."
        raise InvalidInput(f"result: {problem}", {"result": [problem]})
