"""API keys: making, recognising and revoking them.

A key is ``orc_`` and 43 random characters; the database holds its sha256 only.
"""

from __future__ import annotations

import hashlib
import os
import secrets as randomness
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound
from ...db.models import ApiKey
from ..statements import fetch

PREFIX = "orc_"
ROLES = ("admin", "editor", "viewer", "agent")

_AUTHENTICATE = """
SELECT id, name, role FROM api_key
WHERE hash = %(hash)s AND revoked IS NULL AND (expires IS NULL OR expires > %(now)s)"""

_used: dict[uuid.UUID, datetime] = {}
_used_lock = threading.Lock()
os.register_at_fork(after_in_child=lambda: globals().update(_used={}, _used_lock=threading.Lock()))


@dataclass(frozen=True)
class Principal:
    """Who makes a request, and what it may do."""

    actor: Actor
    #: ``admin``, ``editor``, ``viewer``, ``agent``, or ``run`` for a run's own token.
    role: str
    key_id: uuid.UUID | None = None
    run_id: uuid.UUID | None = None
    attempt: int | None = None
    #: Of an errand's run: the only block, with those that it holds, that the token may load.
    errand_block: uuid.UUID | None = None


def create(
    session: Session, name: str, role: str, now: datetime, expires: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key.

    Returns:
        Its row and its text; the text cannot be had again.

    Raises:
        InvalidInput: The role is none of :data:`ROLES`, the name is empty, or it would expire in the past.
    """
    if role not in ROLES:
        raise InvalidInput(f"{role!r} is no role", {"role": [f"One of: {', '.join(ROLES)}."]})
    if not name.strip():
        raise InvalidInput("the key needs a name", {"name": ["Must not be empty."]})
    if expires is not None and expires <= now:
        raise InvalidInput("the key would expire in the past", {"expires": ["Must lie in the future."]})
    secret = PREFIX + randomness.token_urlsafe(32)
    key = ApiKey(name=name.strip(), role=role, prefix=secret[:8], hash=_hash(secret), created=now, expires=expires)
    session.add(key)
    session.flush()
    return key, secret


def authenticate(session: Session, secret: str, now: datetime) -> Principal | None:
    """Recognise a key; None when it is unknown, revoked or expired. Its use is noted for :func:`flush_used`."""
    if not secret.startswith(PREFIX):
        return None
    found = fetch(session, _AUTHENTICATE, {"hash": _hash(secret), "now": now})
    if not found:
        return None
    [row] = found
    note_use(row.id, now)
    return Principal(Actor("api-key", str(row.id), row.name), row.role, key_id=row.id)


def principal_of(key: ApiKey) -> Principal:
    """The principal that a key stands for, as a browser session that was opened with it needs."""
    return Principal(Actor("api-key", str(key.id), key.name), key.role, key_id=key.id)


def get(session: Session, key_id: uuid.UUID) -> ApiKey:
    """One key. Raises NotFound."""
    key = session.get(ApiKey, key_id)
    if key is None:
        raise NotFound(f"there is no API key {key_id}")
    return key


def usable(key: ApiKey, now: datetime) -> bool:
    """Whether the key still opens anything."""
    return key.revoked is None and (key.expires is None or key.expires > now)


def listing(session: Session, include_revoked: bool = False) -> list[ApiKey]:
    """All keys, oldest first."""
    query = select(ApiKey).order_by(ApiKey.id)
    if not include_revoked:
        query = query.where(ApiKey.revoked.is_(None))
    return list(session.scalars(query))


def revoke(session: Session, key_id: uuid.UUID, now: datetime) -> ApiKey:
    """Make a key useless, at once; a second time changes nothing.

    Raises:
        NotFound: There is no such key.
        Conflict: It is the last key of an admin: nobody could make another one.
    """
    others = select(ApiKey).where(
        ApiKey.role == "admin", ApiKey.revoked.is_(None), or_(ApiKey.expires.is_(None), ApiKey.expires > now)
    )
    admins = session.scalars(others.order_by(ApiKey.id).with_for_update()).all()
    key = get(session, key_id)
    if [admin.id for admin in admins] == [key_id]:
        raise Conflict(f"{key.name} is the last admin key: create another one first")
    if key.revoked is None:
        key.revoked = now
        session.flush()
    return key


def note_use(key_id: uuid.UUID, now: datetime) -> None:
    """Remember that a key was used, for :func:`flush_used`."""
    with _used_lock:
        _used[key_id] = now


def flush_used(session: Session) -> int:
    """Write when each key was last used since the last flush; returns how many keys that were."""
    with _used_lock:
        batch = dict(_used)
        _used.clear()
    for key_id, at in sorted(batch.items()):
        session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used=func.greatest(ApiKey.last_used, at)))
    return len(batch)


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
