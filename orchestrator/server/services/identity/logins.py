"""One-time links that open a browser session on behalf of an API key."""

from __future__ import annotations

import hashlib
import secrets as randomness
import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import AccessDenied
from ...db.models import ApiKey, LoginLink
from ..recording.announcements import announce, resource
from . import keys

#: How long a link can be opened.
LIFETIME = timedelta(minutes=15)


def issue(session: Session, api_key_id: uuid.UUID, now: datetime) -> str:
    """The secret part of a new link, good once, until ``now`` + :data:`LIFETIME`. Raises NotFound without the key."""
    keys.get(session, api_key_id)
    session.execute(delete(LoginLink).where(LoginLink.expires <= now))
    token = randomness.token_urlsafe(32)
    session.add(LoginLink(hash=_hash(token), api_key_id=api_key_id, expires=now + LIFETIME))
    session.flush()
    return token


def redeem(session: Session, token: str, now: datetime) -> ApiKey:
    """Use a link up; of two at once, one succeeds.

    Raises:
        AccessDenied: It was used, is too old, or its key is no longer good.
    """
    taken = delete(LoginLink).where(LoginLink.hash == _hash(token)).returning(LoginLink.api_key_id, LoginLink.expires)
    row = session.execute(taken).first()
    if row is None or row.expires <= now:
        raise AccessDenied("this login link was used or is too old: ask for another one")
    key = keys.get(session, row.api_key_id)
    if not keys.usable(key, now):
        raise AccessDenied("the API key behind this login link was revoked or has expired")
    return key


def note(session: Session, key: ApiKey, now: datetime) -> None:
    """Record that the dashboard was opened on behalf of a key."""
    actor = Actor("api-key", str(key.id), key.name)
    announce(session, "api-key.logged-in", resource("api-key", key.id, key.name), actor, now)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
