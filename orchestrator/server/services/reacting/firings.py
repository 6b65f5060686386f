"""Firings: looking at them, acknowledging them, ending one by hand."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....errors import Conflict, NotFound
from ....records import Actor
from ...db.models import Firing, Trigger
from ..acting import actions
from ..paging import Page, check_limit, decode_id, page
from ..recording.announcements import announce, resource

_OPEN = """
(SELECT f.id, f.trigger_id, f.expectation_id, t.name, t.severity, f.reason, f.occurred, f.acknowledged_by
FROM firing f JOIN trigger t ON t.id = f.trigger_id WHERE f.state = 'open' ORDER BY f.id DESC LIMIT %(each)s)
UNION ALL
(SELECT f.id, f.trigger_id, f.expectation_id, e.name, e.severity, f.reason, f.occurred, f.acknowledged_by
FROM firing f JOIN expectation e ON e.id = f.expectation_id WHERE f.state = 'open' ORDER BY f.id DESC LIMIT %(each)s)"""

STATES = ("open", "resolved", "suppressed")


@dataclass(frozen=True)
class FiringFilter:
    """Which firings a list shows; what is None does not restrict."""

    state: str | None = None
    trigger_id: uuid.UUID | None = None
    chain_id: uuid.UUID | None = None
    event_id: uuid.UUID | None = None
    severity: str | None = None
    acknowledged: bool | None = None
    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class FiringRow:
    """A firing, with its trigger; None: something else made it fire."""

    firing: Firing
    trigger: Trigger | None


@dataclass(frozen=True)
class Open:
    """A firing that is not over, with the name and the severity of the trigger or expectation that it is of."""

    id: uuid.UUID
    trigger_id: uuid.UUID | None
    expectation_id: uuid.UUID | None
    name: str
    severity: str
    reason: str
    occurred: datetime
    acknowledged_by: str


def still_open(session: Session, each: int) -> list[Open]:
    """Firings that are not over, newest first: at most ``each`` of triggers, and as many of expectations."""
    rows = session.connection().exec_driver_sql(_OPEN, {"each": each})
    return [Open(*row) for row in rows]


def get(session: Session, firing_id: uuid.UUID) -> FiringRow:
    """One firing. Raises NotFound."""
    found = session.execute(_select().where(Firing.id == firing_id)).first()
    if found is None:
        raise NotFound(f"there is no firing {firing_id}")
    return FiringRow(*found)


def listing(session: Session, wanted: FiringFilter, limit: int = 50, cursor: str | None = None) -> Page[FiringRow]:
    """A page of firings, newest first."""
    query = _select()
    for column, value in (
        (Firing.state, wanted.state),
        (Firing.trigger_id, wanted.trigger_id),
        (Firing.chain_id, wanted.chain_id),
        (Firing.event_id, wanted.event_id),
        (Trigger.severity, wanted.severity),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.acknowledged is not None:
        was = Firing.acknowledged.is_not(None)
        query = query.where(was if wanted.acknowledged else ~was)
    if wanted.after is not None:
        query = query.where(Firing.fired >= wanted.after)
    if wanted.before is not None:
        query = query.where(Firing.fired < wanted.before)
    if cursor:
        query = query.where(Firing.id < decode_id(cursor))
    found = session.execute(query.order_by(Firing.id.desc()).limit(check_limit(limit) + 1)).all()
    return page([FiringRow(*row) for row in found], limit, lambda item: (item.firing.id,))


def acknowledge(session: Session, firing_id: uuid.UUID, actor: Actor, now: datetime) -> FiringRow:
    """Note that somebody looks after a firing; the first to say so is named. Raises NotFound."""
    found = _locked(session, firing_id)
    if found.firing.acknowledged is None:
        found.firing.acknowledged, found.firing.acknowledged_by = now, actor.name or actor.id
        session.flush()
        _announce(session, "trigger.acknowledged", found, actor, now)
    return found


def resolve(session: Session, firing_id: uuid.UUID, actor: Actor, now: datetime) -> FiringRow:
    """End an open firing by hand, as if what it was for were over.

    Raises:
        NotFound: There is no such firing.
        Conflict: It is not open.
    """
    found = _locked(session, firing_id)
    if found.firing.state != "open":
        raise Conflict(f"the firing is {found.firing.state}: only an open one can be resolved")
    found.firing.state, found.firing.resolved = "resolved", now
    session.flush()
    if found.trigger is not None:
        wanted = [(found.firing.id, found.trigger.resolve_actions)]
        actions.queue_all(session, wanted, "resolve", now)
    _announce(session, "trigger.closed", found, actor, now)
    return found


def _select() -> Any:
    return select(Firing, Trigger).outerjoin(Trigger, Trigger.id == Firing.trigger_id)


def _locked(session: Session, firing_id: uuid.UUID) -> FiringRow:
    session.execute(select(Firing.id).where(Firing.id == firing_id).with_for_update())
    return get(session, firing_id)


def _announce(session: Session, event: str, row: FiringRow, actor: Actor, now: datetime) -> None:
    firing, trigger = row.firing, row.trigger
    about = (
        resource("trigger", trigger.id, trigger.name) if trigger is not None else resource("firing", firing.id, None)
    )
    related = [resource("firing", firing.id, firing.reason[:100] or None, "firing")]
    announce(session, event, about, actor, now, related, occasion=firing.occasion, key=firing.key)
