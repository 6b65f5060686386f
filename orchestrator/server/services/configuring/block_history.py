"""The history of a block: who changed which fields, and when. Of secrets only that they changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....ids import uuid7
from ....masking import MASK
from ....serializers import dumps
from ...db.models import Block, BlockChange
from ..paging import Page, check_limit, decode_id, page
from ..statements import execute
from .secret_fields import pointer

#: How long changes are remembered.
REMEMBERED = timedelta(days=365)
#: A longer value is not repeated, in characters of JSON.
VALUE_MAX = 2000

_FORGET = """
DELETE FROM block_change WHERE id IN (
    SELECT id FROM block_change WHERE at < %(before)s ORDER BY at LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""


def note(
    session: Session, block: Block, verb: str, actor: Actor, now: datetime, fields: Sequence[dict[str, Any]]
) -> None:
    """Remember a change: ``created``, ``updated`` or ``rotated``."""
    session.add(BlockChange(id=uuid7(), block_id=block.id, at=now, by=actor.write(), verb=verb, fields=list(fields)))
    session.flush()


def listing(session: Session, block_id: uuid.UUID, limit: int = 50, cursor: str | None = None) -> Page[BlockChange]:
    """A page of a block's changes, newest first."""
    query = select(BlockChange).where(BlockChange.block_id == block_id)
    if cursor:
        query = query.where(BlockChange.id < decode_id(cursor))
    rows = session.scalars(query.order_by(BlockChange.id.desc()).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.id,))


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], hidden: Mapping[str, Any] | None, given: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The fields that differ between two documents.

    Args:
        before, after: Their values, secrets masked.
        hidden: The secrets before, by place; None: they cannot be read, so all that is ``given`` counts as changed.
        given: The secrets after.
    """
    places = {*(hidden or {}), *given}
    changed = {place for place in places if hidden is None or hidden.get(place) != given.get(place)}
    found = []
    for name in dict.fromkeys([*before, *after]):
        own = pointer((name,))
        secret = any(place == own or place.startswith(f"{own}/") for place in changed)
        old, new = before.get(name), after.get(name)
        if MASK in (old, new):
            if secret or old != new:
                found.append({"field": name, "secret": True, "before": None, "after": None})
        elif old != new or secret:
            found.append({"field": name, "secret": secret, "before": _short(old), "after": _short(new)})
    return found


def forget(session: Session, now: datetime, batch: int) -> int:
    """Delete some of the changes that are remembered no longer; returns how many."""
    return execute(session, _FORGET, {"before": now - REMEMBERED, "batch": batch})


def _short(value: Any) -> Any:
    size = len(dumps(value))
    return value if size <= VALUE_MAX else f"({size} characters)"
