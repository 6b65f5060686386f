"""Events: recording our own, taking in those of others, reading them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from ....errors import NotFound
from ....ids import time_of, uuid7, uuid7_each, uuid7_floor
from ...config import current
from ...db.json_text import json_text
from ...db.models import Event
from ...event_catalogue import is_reserved
from ...schemas.events import EventIn, Refusal, read_event
from ..paging import Page, check_limit, decode_id, page
from ..statements import copy_rows, execute, fetch, wake_readers
from .observing import observe

_COLUMNS = (
    "id", "event", "occurred", "received", "resource_id", "resource", "related", "payload", "follows", "kind", "source",
    "relations",
)  # fmt: skip
#: An id may be this much ahead of the server's clock.
AHEAD_MAX = timedelta(minutes=5)
#: The oldest partitions are dropped meanwhile; ids so near to the retention's end are refused as well.
_MARGIN = timedelta(days=1)


@dataclass
class EventRecord:
    """One event to be recorded."""

    event: str
    #: Labels; ``resource.id`` is needed.
    resource: dict[str, str]
    related: list[dict[str, str]] = field(default_factory=list)
    payload: dict[str, Any] = field(default_factory=dict)
    #: None: now.
    occurred: datetime | None = None
    #: UUIDv7; None until it is given a new one when it is recorded.
    id: uuid.UUID | None = None
    follows: uuid.UUID | None = None
    #: One of :data:`...db.models.event.KINDS`, and of ``SOURCES`` there.
    kind: str = "operation"
    source: str = "tower"
    #: ``{source, target, role}`` each.
    relations: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class RefusedEvent:
    """An event that was not taken, by its place in the list."""

    index: int
    code: str
    message: str


@dataclass(frozen=True)
class Ingested:
    """What became of a list of events; one known already counts as accepted."""

    accepted: int
    refused: list[RefusedEvent]


@dataclass(frozen=True)
class EventFilter:
    """Which events a list shows; what is None does not restrict."""

    #: A name or several, any of which it may be; ``*`` stands for anything: ``flow-run.*``.
    event: str | Sequence[str] | None = None
    resource_id: str | None = None
    kind: str | None = None
    source: str | None = None
    #: Part of the name of who did it, in any case.
    by: str | None = None
    #: By the time that their ids carry.
    after: datetime | None = None
    before: datetime | None = None


def record(session: Session, events: Sequence[EventRecord], now: datetime) -> None:
    """Write events of our own, in the session's transaction; ids are new, so nothing is looked up."""
    copy_rows(session, "event", _COLUMNS, [_row(event, now) for event in events])
    if events:
        wake_readers(session)


def ingest(
    session: Session, items: Sequence[Any], now: datetime, source: str = "key", is_harmless: bool = False
) -> Ingested:
    """Take in events from outside: each is checked by itself; an id that is stored already is taken as done.

    Args:
        items: Decoded JSON, one object an event.
        source: How they come in: one of :data:`...db.models.event.SOURCES`.
        is_harmless: What :func:`...schemas.events.is_harmless` says of the body that they came in.
    """
    taken: list[EventRecord] = []
    refused: list[RefusedEvent] = []
    for index, item in enumerate(items):
        try:
            taken.append(accept(read_event(item, is_harmless), now, source))
        except Refusal as refusal:
            refused.append(RefusedEvent(index, refusal.code, str(refusal)))
    store(session, taken, now)
    return Ingested(len(taken), refused)


def accept(event: EventIn, now: datetime, source: str) -> EventRecord:
    """What is recorded of a checked event. Raises Refusal for an id whose time has no partition, and for a name that
    only the server itself may use.
    """
    if is_reserved(event.event):
        family = event.event.partition(".")[0]
        raise Refusal("reserved", f"event: names that begin with {family}. are the server's own: choose another")
    identifier = event.id
    if identifier is not None and identifier.version != 7:
        raise Refusal("id-not-v7", "id: is no UUIDv7; leave it out, or make it from the event's time")
    if identifier is not None:
        told = time_of(identifier)
        if told > now + AHEAD_MAX:
            raise Refusal("id-ahead", f"id: its time {told:%Y-%m-%dT%H:%M:%SZ} is more than 5 minutes ahead")
        if told < now - current().event_retention + _MARGIN:
            raise Refusal("id-expired", f"id: its time {told:%Y-%m-%dT%H:%M:%SZ} is older than events are kept")
    about = event.resource["resource.id"]
    relations = [{"source": to.source or about, "target": to.target, "role": to.role} for to in event.relations]
    return EventRecord(
        event.event, event.resource, event.related, event.payload, event.occurred, identifier, event.follows,
         event.kind, source, relations,
    )  # fmt: skip


def store(session: Session, events: Sequence[EventRecord], now: datetime) -> list[EventRecord]:
    """Write checked events, those without an id under a new one; returns those that were not stored already, in the
    order of their ids. What these tell of resources is kept with them.
    """
    if not events:
        return []
    told = {event.id: event for event in reversed(events) if event.id is not None}
    fresh = [event for event in events if event.id is None]
    for event, identifier in uuid7_each(fresh):
        event.id = identifier
    # New ids are in nobody's way, so these need no look at what is there.
    copy_rows(session, "event", _COLUMNS, [_row(event, now) for event in fresh])
    if told:
        fresh = sorted([*fresh, *_store_unless_known(session, told, now)], key=lambda event: str(event.id))
    if fresh:
        wake_readers(session)
    observe(session, fresh, now)
    return fresh


def _store_unless_known(session: Session, told: Mapping[uuid.UUID, EventRecord], now: datetime) -> list[EventRecord]:
    """Write events whose ids others gave, in their order; returns those that are new."""
    execute(
        session,
        "CREATE TEMPORARY TABLE IF NOT EXISTS incoming_event (id uuid, event text, occurred timestamptz,"
        " received timestamptz, resource_id text, resource jsonb, related jsonb, payload jsonb, follows uuid,"
        " kind text, source text, relations jsonb)"
        " ON COMMIT DELETE ROWS",
        {},
    )
    copy_rows(session, "incoming_event", _COLUMNS, [_row(event, now) for event in told.values()])
    columns = ", ".join(_COLUMNS)
    stored = fetch(
        session,
        f"WITH taken AS (DELETE FROM incoming_event RETURNING {columns})"
        f" INSERT INTO event ({columns}) SELECT {columns} FROM taken ORDER BY id ON CONFLICT DO NOTHING RETURNING id",
        {},
    )
    return [told[key] for (key,) in stored]


def get(session: Session, event_id: uuid.UUID) -> Event:
    """One event. Raises NotFound."""
    found = session.get(Event, event_id)
    if found is None:
        raise NotFound(f"there is no event {event_id}")
    return found


def listing(
    session: Session,
    wanted: EventFilter | None = None,
    limit: int = 50,
    cursor: str | None = None,
    oldest_first: bool = False,
) -> Page[Event]:
    """A page of events, newest first unless asked otherwise."""
    wanted = wanted or EventFilter()
    query = select(Event)
    query = query.where(*conditions(wanted))
    if cursor:
        last = decode_id(cursor)
        query = query.where(Event.id > last if oldest_first else Event.id < last)
    query = query.order_by(Event.id if oldest_first else Event.id.desc()).limit(check_limit(limit) + 1)
    return page(session.scalars(query).all(), limit, lambda row: (row.id,))


def conditions(wanted: EventFilter) -> list[ColumnElement[bool]]:
    """What the filter asks of the columns of events."""
    plain = {"resource_id": wanted.resource_id, "kind": wanted.kind, "source": wanted.source}
    found = [getattr(Event, name) == value for name, value in plain.items() if value]
    if names := patterns(wanted):
        found.append(or_(*(_named(name) for name in names)))
    if wanted.by:
        found.append(Event.payload["by"]["name"].astext.icontains(wanted.by, autoescape=True))
    if wanted.after:
        found.append(Event.id >= uuid7_floor(wanted.after))
    if wanted.before:
        found.append(Event.id < uuid7_floor(wanted.before))
    return found


def patterns(wanted: EventFilter) -> list[str]:
    """The names that the filter asks for."""
    return [wanted.event] if isinstance(wanted.event, str) else list(wanted.event or ())


def _named(pattern: str) -> ColumnElement[bool]:
    if "*" not in pattern:
        return Event.event == pattern
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return Event.event.like(escaped.replace("*", "%"))


def _row(event: EventRecord, now: datetime) -> tuple[Any, ...]:
    return (
        event.id or uuid7(), event.event, event.occurred or now, now, event.resource["resource.id"],
        json_text(event.resource), _listed(event.related), json_text(event.payload) if event.payload else "{}",
        event.follows, event.kind, event.source, _listed(event.relations),
    )  # fmt: skip


def _listed(items: Sequence[Any]) -> str:
    return json_text(items) if items else "[]"
