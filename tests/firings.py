"""Firings for tests of what they ask for: a trigger, its firing, and the actions in the outbox."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.clock import now
from orchestrator.ids import uuid7
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Action, Event, Firing, Trigger
from orchestrator.server.services.acting import actions
from orchestrator.server.services.recording import events

#: What fires, unless a test says otherwise.
EVENT: dict[str, Any] = {
    "event": "file.landed",
    "resource": {"resource.id": "s3.sales.2026-01-31.csv", "resource.name": "2026-01-31.csv"},
    "payload": {"key": "sales/2026-01-31.csv", "rows": 12},
}


def fire(*documents: dict[str, Any], moment: str = "fire", depth: int = 0, **event: Any) -> uuid.UUID:
    """A firing of a new trigger for an event, which asks for some actions; returns the firing's id."""
    with db.transaction() as session:
        row = add_event(session, {**EVENT, **event})
        trigger = Trigger(id=uuid7(), name=f"t-{uuid.uuid4().hex[:8]}", condition={}, actions=list(documents))
        session.add(trigger)
        session.flush()
        firing = add_firing(session, trigger, row, depth)
        actions.queue(session, firing, moment, list(documents), now())
        return firing.id


def add_event(session: Session, item: dict[str, Any]) -> Event:
    """An event from outside."""
    identifier = uuid7()
    outcome = events.ingest(session, [{**item, "id": str(identifier)}], now())
    assert not outcome.refused, outcome.refused
    return session.scalars(select(Event).where(Event.id == identifier)).one()


def add_firing(session: Session, trigger: Trigger, event: Event | None, depth: int = 0) -> Firing:
    """A firing of a trigger, open."""
    told = None
    if event is not None:
        told = {name: getattr(event, name) for name in ("id", "event", "occurred", "resource", "related", "payload")}
        told.update(id=str(event.id), occurred=event.occurred.isoformat())
    firing = Firing(
        id=uuid7(), trigger_id=trigger.id, occasion=f"[]|event:{uuid.uuid4()}", occurred=now(), reason="it came",
        event_id=event.id if event is not None else None, chain_id=uuid.uuid4(), depth=depth,
        context={"event": told} if told else {},
    )  # fmt: skip
    session.add(firing)
    session.flush()
    return firing


def outbox() -> list[Action]:
    """All actions, the oldest first."""
    with db.reading() as session:
        return list(session.scalars(select(Action).order_by(Action.id)))


def only() -> Action:
    """The one action that there is."""
    [row] = outbox()
    return row


def told(name: str) -> list[Event]:
    """The events of a name, the oldest first."""
    with db.reading() as session:
        return list(session.scalars(select(Event).where(Event.event == name).order_by(Event.id)))
