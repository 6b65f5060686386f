"""The active triggers in this process's memory, read anew when any was changed."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .... import triggers
from ....errors import InvalidInput
from ....triggers import Index, Seen, TriggerSpec, stamp
from ....triggers.conditions import Metric, Schedule
from ..statements import fetch

#: Whatever is changed changes this: no two changes of a trigger have the same time, no two triggers the same id.
_VERSION = """
SELECT count(*) AS number, sum(updated - timestamptz '2000-01-01Z') AS changed, sum(uuid_hash(id)) AS which
FROM trigger WHERE active"""
_ACTIVE = """
SELECT id, name, deployment_id, condition, actions, resolve_actions, severity, owner, since, muted_until, debounce_s,
    hourly_max, updated
FROM trigger WHERE active ORDER BY id"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Known:
    """One active trigger, its condition read."""

    id: uuid.UUID
    name: str
    spec: TriggerSpec
    severity: str
    owner: str
    actions: list[dict[str, Any]]
    resolve_actions: list[dict[str, Any]]
    #: Microseconds since 1970.
    since: int
    muted_until: datetime | None
    hourly_max: int
    updated: datetime
    deployment_id: uuid.UUID | None = None

    def hears(self, event: Seen) -> bool:
        """Whether an event came since it listens, and counts for it."""
        return event.received >= self.since and triggers.is_concerned(self.spec, event)


@dataclass
class Book:
    """All active triggers, by id and by the events that may concern them."""

    version: tuple[Any, ...] = ()
    known: dict[uuid.UUID, Known] = field(default_factory=dict)
    index: Index[uuid.UUID] = field(default_factory=Index)
    #: Those that the clock alone matters to: no event can come late for them.
    by_clock: list[uuid.UUID] = field(default_factory=list)
    #: Whether time alone can change anything: any of them remembers something.
    has_clocks: bool = False

    @classmethod
    def of(cls, known: Iterable[Known], version: tuple[Any, ...] = ()) -> Book:
        """File triggers."""
        found = {item.id: item for item in known}
        index = Index.of((item.id, item.spec.condition) for item in found.values())
        clocked = [item.id for item in found.values() if isinstance(item.spec.condition, (Schedule, Metric))]
        return cls(version, found, index, clocked, any(triggers.remembers(item.spec) for item in found.values()))

    def concerned(self, event: Seen) -> list[Known]:
        """The triggers that an event counts for."""
        found = [self.known[key] for key in self.index.candidates(event)]
        return [item for item in found if item.hears(event)]


_book: Book | None = None
_lock = threading.Lock()


def last(session: Session) -> Book:
    """The active triggers as this process knew them last; as they are now, where it knew of none."""
    book, place = _book, str(session.connection().engine.url)
    return book if book is not None and book.known and book.version[:1] == (place,) else current(session)


def current(session: Session) -> Book:
    """All active triggers as they are now; read from the database only when one was changed."""
    global _book
    row = fetch(session, _VERSION, {})[0]
    place = str(session.connection().engine.url)
    version = (place, row.number, row.changed, row.which)
    with _lock:
        if _book is None or _book.version != version:
            _book = Book.of(_read(session), version)
        return _book


def _read(session: Session) -> list[Known]:
    found = []
    for row in fetch(session, _ACTIVE, {}):
        try:
            found.append(known_of(row))
        except InvalidInput as error:
            # Written by another version: one that cannot be read must not stop the others.
            _log.error("trigger %s cannot be read and is left out: %s", row.name, error)
    return found


def known_of(row: Any) -> Known:
    """A trigger from its row. Raises InvalidInput for a condition that cannot be read."""
    spec = triggers.read_condition(row.condition, row.debounce_s)
    return Known(
        row.id, row.name, spec, row.severity, row.owner, row.actions, row.resolve_actions, stamp(row.since),
        row.muted_until, row.hourly_max, row.updated, row.deployment_id,
    )  # fmt: skip
