"""Flows."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ....errors import NotFound
from ....ids import uuid7
from ...db.models import Flow
from ..internal import FLOW_ID
from ..paging import Page, check_limit, decode, page


def ensure(session: Session, name: str, now: datetime) -> Flow:
    """The flow of that name, made if it is new. Any number may do this at once."""
    made = insert(Flow).values(id=uuid7(now), name=name, tags=[], created=now).on_conflict_do_nothing()
    found = session.scalar(select(Flow).where(Flow.name == name))
    if found is None:
        session.execute(made)
        found = session.scalars(select(Flow).where(Flow.name == name)).one()
    return found


def get(session: Session, ref: str | uuid.UUID) -> Flow:
    """A flow by id or name. Raises NotFound."""
    condition = Flow.id == ref if isinstance(ref, uuid.UUID) else Flow.name == ref
    found = session.scalar(select(Flow).where(condition))
    if found is None:
        raise NotFound(f"there is no flow {ref}")
    return found


def listing(
    session: Session, limit: int = 50, cursor: str | None = None, name: str | None = None, tag: str | None = None
) -> Page[Flow]:
    """A page of flows, by name.

    Args:
        name: Part of the name, in any case.
        tag: A tag it must have.
    """
    query = select(Flow).where(Flow.id != FLOW_ID)
    if name:
        query = query.where(Flow.name.icontains(name, autoescape=True))
    if tag:
        query = query.where(Flow.tags.contains([tag]))
    if cursor:
        query = query.where(Flow.name > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(Flow.name).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda flow: (flow.name,))
