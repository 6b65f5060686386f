"""The audit trail: what people, keys and the server itself changed, with what was before and what is after."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator import serializers
from orchestrator.clock import to_text
from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Event
from orchestrator.server.services.paging import LIMIT_MAX, Page
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter

from .. import things
from .events import WITHIN, instant

USUAL = "7d"
#: Most entries of one file.
FILE_MAX = 50_000
COLUMNS = ("at", "who", "kind of who", "what", "of", "id", "before", "after")
#: What a payload tells beside the change itself.
_ASIDE = {"by", "before", "after", "changes"}


@dataclass(frozen=True)
class Asked:
    """The filters, as the address holds them."""

    by: str = ""
    event: str = ""
    resource: str = ""
    within: str = USUAL
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()

    def filter(self, now: datetime) -> EventFilter:
        """As the service wants it."""
        return EventFilter(
            kind="action",
            by=self.by or None,
            event=self.event or None,
            resource_id=self.resource or None,
            after=self.since or (self.until or now) - WITHIN[self.within],
            before=self.until,
        )


@dataclass(frozen=True)
class Entry:
    """One change."""

    event: Event
    who: str
    #: ``api-key``, ``run``, ...; empty where nobody is named.
    who_is: str
    #: Name of a field, what it was, what it is.
    changes: list[tuple[str, Any, Any]]
    #: What else is told.
    more: dict[str, Any]


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address. Raises InvalidInput naming the one that cannot be understood."""
    within = str(arguments.get("within") or USUAL)
    if within not in WITHIN:
        raise InvalidInput(f"within={within} is none of {', '.join(WITHIN)}")
    return Asked(
        by=str(arguments.get("by", "")).strip(),
        event=str(arguments.get("q", "")).strip(),
        resource=str(arguments.get("resource", "")).strip(),
        within=within,
        since=instant(arguments, "since"),
        until=instant(arguments, "until"),
    )


def listing(
    session: Session, wanted: Asked, now: datetime, cursor: str | None, limit: int = 50
) -> tuple[list[Entry], Page[Event]]:
    """One page of changes, newest first; and the page of events that they were read from."""
    found = events.listing(session, wanted.filter(now), limit, cursor)
    return [entry(row) for row in found.items], found


def batches(session: Session, wanted: Asked, now: datetime) -> Iterator[list[Entry]]:
    """All changes that fit, newest first, up to :data:`FILE_MAX`."""
    cursor, left = None, FILE_MAX
    while left > 0:
        entries, found = listing(session, wanted, now, cursor, LIMIT_MAX)
        yield entries
        cursor, left = found.next, left - len(entries)
        if cursor is None:
            return


def entry(event: Event) -> Entry:
    """Read a change from its event."""
    payload = event.payload
    by = payload.get("by")
    who = by if isinstance(by, Mapping) else {}
    name = str(who.get("name") or who.get("type") or "")
    more = {key: value for key, value in payload.items() if key not in _ASIDE}
    return Entry(event, name, str(who.get("type") or ""), _changes(payload), more)


def as_json(item: Entry) -> bytes:
    """An entry as one line of JSON."""
    return serializers.dumps({
        "id": item.event.id, "at": item.event.occurred, "event": item.event.event, "by": item.event.payload.get("by"),
        "resource": item.event.resource, "related": item.event.related,
        "before": {name: old for name, old, _ in item.changes}, "after": {name: new for name, _, new in item.changes},
        "more": item.more,
    }) + b"\n"  # fmt: skip


def as_csv(rows: list[tuple[str, ...]]) -> str:
    """Rows of a CSV file. What a spreadsheet would take for a formula is made text."""
    text = io.StringIO()
    csv.writer(text).writerows([[_plain(cell) for cell in row] for row in rows])
    return text.getvalue()


def row(item: Entry) -> tuple[str, ...]:
    """An entry as a row under :data:`COLUMNS`."""
    event, changes = item.event, item.changes
    before = serializers.dumps({name: old for name, old, _ in changes}).decode() if changes else ""
    after = serializers.dumps({name: new for name, _, new in changes}).decode() if changes else ""
    name = things.name_of(event.resource)
    return to_text(event.occurred), item.who, item.who_is, event.event, name, event.resource_id, before, after


def _plain(cell: str) -> str:
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _changes(payload: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    before, after = payload.get("before"), payload.get("after")
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        old = before if isinstance(before, Mapping) else {}
        new = after if isinstance(after, Mapping) else {}
        return [(name, old.get(name), new.get(name)) for name in dict.fromkeys((*old, *new))]
    changes = payload.get("changes")
    if isinstance(changes, Mapping):
        return [(name, *pair) for name, pair in changes.items() if isinstance(pair, list) and len(pair) == 2]
    return [(str(name), None, None) for name in changes] if isinstance(changes, list) else []
