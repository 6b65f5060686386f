"""Where a trigger stands for each key that it remembers something of."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from .... import triggers as rules
from ...db.models import TriggerBucket
from ..paging import Page, check_limit, decode, page
from . import triggers


@dataclass(frozen=True)
class KeyRow:
    """One key: the values of ``for_each``, what it waits for, since when, and when the clock decides that."""

    key: list[str]
    text: str
    since: datetime | None
    deadline: datetime | None
    updated: datetime


def listing(session: Session, ref: str | uuid.UUID, limit: int = 50, cursor: str | None = None) -> Page[KeyRow]:
    """A page of keys. Raises as :func:`.triggers.get`."""
    trigger = triggers.get(session, ref)
    spec = rules.read_condition(trigger.condition, trigger.debounce_s)
    query = select(TriggerBucket).where(TriggerBucket.trigger_id == trigger.id)
    if cursor:
        query = query.where(TriggerBucket.key > decode(cursor, str)[0])
    found = session.scalars(query.order_by(TriggerBucket.key).limit(check_limit(limit) + 1)).all()
    shown = page(found, limit, lambda item: (item.key,))
    return Page([_row(spec, item) for item in shown.items], shown.next)


def _row(spec: rules.TriggerSpec, bucket: TriggerBucket) -> KeyRow:
    told = rules.waiting(spec, bucket.state)
    since = None if told.since is None else rules.instant(told.since)
    return KeyRow(rules.key_values(bucket.key), told.text, since, bucket.deadline, bucket.updated)
