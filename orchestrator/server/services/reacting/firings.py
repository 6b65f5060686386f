"""Firings: looking at them, acknowledging them, ending one by hand."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .... import expectations
from ....documents.records import Actor
from ....errors import Conflict, NotFound
from ...db.models import Expectation, Firing, Trigger
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
#: What firings are of.
CAUSES = ("trigger", "expectation")


@dataclass(frozen=True)
class FiringFilter:
    """Which firings a list shows; what is None does not restrict."""

    state: str | None = None
    #: One of :data:`CAUSES`.
    of: str | None = None
    #: Part of the name of the trigger or expectation, in any case.
    name: str | None = None
    trigger_id: uuid.UUID | None = None
    expectation_id: uuid.UUID | None = None
    chain_id: uuid.UUID | None = None
    event_id: uuid.UUID | None = None
    severity: str | None = None
    acknowledged: bool | None = None
    after: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True)
class FiringRow:
    """A firing, with the trigger or the expectation that it is of; neither: nothing caused it but somebody's word."""

    firing: Firing
    trigger: Trigger | None
    expectation: Expectation | None

    @property
    def name(self) -> str:
        """What the trigger or expectation is called."""
        cause = self.trigger or self.expectation
        return "" if cause is None else cause.name

    @property
    def severity(self) -> str:
        """How grave it is."""
        cause = self.trigger or self.expectation
        return "warning" if cause is None else cause.severity


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
        (Firing.expectation_id, wanted.expectation_id),
        (Firing.chain_id, wanted.chain_id),
        (Firing.event_id, wanted.event_id),
        (func.coalesce(Trigger.severity, Expectation.severity), wanted.severity),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.of is not None:
        query = query.where((Firing.trigger_id if wanted.of == "trigger" else Firing.expectation_id).is_not(None))
    if wanted.name is not None:
        named = func.coalesce(Trigger.name, Expectation.name)
        query = query.where(named.icontains(wanted.name, autoescape=True))
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
        _announce(session, "acknowledged", found, actor, now)
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
    actions.queue_all(session, [(found.firing.id, _resolve_actions(found))], "resolve", now)
    _announce(session, "closed", found, actor, now)
    return found


def _select() -> Any:
    return (
        select(Firing, Trigger, Expectation)
        .outerjoin(Trigger, Trigger.id == Firing.trigger_id)
        .outerjoin(Expectation, Expectation.id == Firing.expectation_id)
    )


def _resolve_actions(row: FiringRow) -> list[dict[str, Any]]:
    """What is to be done when it is over."""
    if row.trigger is not None:
        return row.trigger.resolve_actions
    if row.expectation is not None:
        return [dict(item) for item in expectations.read(row.expectation.document).on_resolve]
    return []


def _locked(session: Session, firing_id: uuid.UUID) -> FiringRow:
    session.execute(select(Firing.id).where(Firing.id == firing_id).with_for_update())
    return get(session, firing_id)


def _announce(session: Session, verb: str, row: FiringRow, actor: Actor, now: datetime) -> None:
    firing = row.firing
    kind = "trigger" if row.expectation is None else "expectation"
    cause = row.trigger or row.expectation
    about = resource("firing", firing.id, None) if cause is None else resource(kind, cause.id, cause.name)
    related = [resource("firing", firing.id, firing.reason[:100] or None, "firing")]
    announce(session, f"{kind}.{verb}", about, actor, now, related, occasion=firing.occasion, key=firing.key)
