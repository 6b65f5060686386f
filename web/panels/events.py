"""Events: what may be asked of the stream, and one event with what is around it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.clock import from_text
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.server.db.models import Event
from orchestrator.server.db.models.event import KINDS, SOURCES
from orchestrator.server.event_catalogue import EVENTS
from orchestrator.server.services.paging import Page
from orchestrator.server.services.reacting import firings
from orchestrator.server.services.reacting.firings import FiringFilter, FiringRow
from orchestrator.server.services.recording import event_histogram, events
from orchestrator.server.services.recording.events import EventFilter

#: Ranges offered, each up to now.
WITHIN = {
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
#: The range of a page that was asked for none.
USUAL = "24h"
#: Bars of the histogram.
BARS = 90
#: Events of the same resource beside one event.
_AROUND = 8


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    #: A name, or a pattern with ``*``.
    event: str = ""
    resource: str = ""
    kind: str = ""
    source: str = ""
    within: str = USUAL
    #: A stretch that somebody zoomed into; it goes before ``within``.
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()

    @property
    def zoomed(self) -> bool:
        """Whether the stretch has fixed ends."""
        return self.since is not None or self.until is not None

    def start(self, now: datetime) -> datetime:
        """Where the stretch begins."""
        return self.since or (self.until or now) - WITHIN[self.within]

    def filter(self, now: datetime) -> EventFilter:
        """As the service wants it."""
        return EventFilter(
            event=self.event or None,
            resource_id=self.resource or None,
            kind=self.kind or None,
            source=self.source or None,
            after=self.start(now),
            before=self.until,
        )


@dataclass(frozen=True)
class EventPage:
    """All that one event's page shows."""

    event: Event
    #: The one that it follows, where that is still kept.
    follows: Event | None
    #: Others of the same resource, newest first.
    around: list[Event]
    #: What fired for it, newest first.
    firings: list[FiringRow]

    @property
    def meaning(self) -> str:
        """What the catalogue says of such events; empty for those of others."""
        facts = EVENTS.get(self.event.event)
        return facts.says if facts else ""


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address. Raises InvalidInput naming the one that cannot be understood."""
    within = str(arguments.get("within") or USUAL)
    if within not in WITHIN:
        raise InvalidInput(f"within={within} is none of {', '.join(WITHIN)}")
    since, until = instant(arguments, "since"), instant(arguments, "until")
    if since and until and since >= until:
        raise InvalidInput("since lies behind until: swap them")
    return Asked(
        event=str(arguments.get("q", "")).strip(),
        resource=str(arguments.get("resource", "")).strip(),
        kind=_one_of(arguments, "kind", KINDS),
        source=_one_of(arguments, "source", SOURCES),
        within=within,
        since=since,
        until=until,
    )


def _one_of(arguments: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    text = str(arguments.get(name, "")).strip()
    if text and text not in known:
        raise InvalidInput(f"{name}={text} is none of {', '.join(known)}")
    return text


def instant(arguments: Mapping[str, Any], name: str) -> datetime | None:
    """A time of the address; None without one. Raises InvalidInput."""
    text = str(arguments.get(name, "")).strip()
    try:
        return from_text(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None


def listing(session: Session, wanted: Asked, now: datetime, cursor: str | None) -> Page[Event]:
    """One page of events, newest first."""
    return events.listing(session, wanted.filter(now), 50, cursor)


def chart(session: Session, wanted: Asked, now: datetime) -> dict[str, Any]:
    """Events over time by kind, as the chart's script takes them: stretches in ms, one series a kind."""
    until = wanted.until or now
    found = event_histogram.count(session, replace(wanted.filter(now), before=until), BARS)
    series = {kind: [bucket.kinds.get(kind, 0) for bucket in found.buckets] for kind in KINDS}
    return {
        "start": int(found.after.timestamp() * 1000),
        "step": found.seconds * 1000,
        "bars": len(found.buckets),
        "total": found.total,
        "cut": found.cut,
        "series": [{"kind": kind, "data": data} for kind, data in series.items() if any(data)],
    }


def load(session: Session, event_id: uuid.UUID) -> EventPage:
    """One event with what is around it. Raises NotFound."""
    event = events.get(session, event_id)
    around = events.listing(session, EventFilter(resource_id=event.resource_id), _AROUND + 1).items
    fired = firings.listing(session, FiringFilter(event_id=event.id), _AROUND).items
    others = [item for item in around if item.id != event.id][:_AROUND]
    return EventPage(event, _followed(session, event), others, fired)


def document(event: Event) -> dict[str, Any]:
    """The event as REST gives it."""
    shown = ("id", "event", "kind", "source", "occurred", "received", "resource", "related", "relations", "payload")
    return {name: getattr(event, name) for name in (*shown, "follows")}


def _followed(session: Session, event: Event) -> Event | None:
    if event.follows is None:
        return None
    try:
        return events.get(session, event.follows)
    except NotFound:
        return None
