"""What fired, as rows: each occasion once, with its place in the chain of causes, and with what is to be done.

A firing that leads to nothing is kept as well, and says why: the trigger is ``muted``, the key fired just now
(``debounced``), the trigger has had its firings of the hour (``rate``), or too many firings followed from one another
(``depth``: something sets itself off).
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from .... import triggers
from ....clock import to_text
from ....ids import uuid7, uuid7_floor
from ....triggers import Over, Seen, instant
from ...config import current
from ...db.json_text import json_text
from ...db.models import Event, Firing
from ..acting import actions
from ..recording.announcements import resource
from ..recording.events import EventRecord, record
from ..statements import fetch
from . import trigger_chains
from .trigger_chains import Chain
from .trigger_index import Known

#: A firing that is noted so long after its deadline is marked as late.
LATE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
#: Payloads larger than this are not copied into firings.
PAYLOAD_MAX = 20_000

#: Numbers of the first and the last firing since an instant, and whether one was stopped by its rate: three looks into
#: an index for each trigger, however many firings there were.
_RECENT = """
SELECT t.id AS trigger_id, l.number AS last, f.number AS first,
    EXISTS (SELECT 1 FROM firing WHERE trigger_id = t.id AND suppressed = 'rate' AND id > %(after)s) AS stopped
FROM unnest(%(ids)s::uuid[]) t(id)
LEFT JOIN LATERAL (SELECT number FROM firing WHERE trigger_id = t.id AND number IS NOT NULL
    ORDER BY id DESC LIMIT 1) l ON true
LEFT JOIN LATERAL (SELECT number FROM firing WHERE trigger_id = t.id AND number IS NOT NULL AND id > %(after)s
    ORDER BY id LIMIT 1) f ON true"""

_WRITE = """
INSERT INTO firing (id, trigger_id, key, occasion, state, suppressed, fired, occurred, event_id, reason, context,
    chain_id, depth, resolved, number)
SELECT * FROM json_to_recordset(%(rows)s::json) AS x(
    id uuid, trigger_id uuid, key text, occasion text, state text, suppressed text, fired timestamptz,
    occurred timestamptz, event_id uuid, reason text, context jsonb, chain_id uuid, depth int, resolved timestamptz,
    number bigint)
ON CONFLICT DO NOTHING RETURNING id"""

#: What events about a firing say of it.
_TOLD = (
    Firing.id, Firing.occasion, Firing.key, Firing.reason, Firing.event_id, Firing.chain_id, Firing.depth,
)  # fmt: skip


@dataclass(frozen=True)
class Noted:
    """Something that happened to a trigger; ``event`` is the one that did it, None: the clock."""

    known: Known
    what: triggers.Firing | Over
    event: Seen | None


def write(session: Session, noted: Sequence[Noted], now: datetime) -> int:
    """Store firings and what was over, in their order; returns how many firings are new."""
    if not noted:
        return 0
    fired = [item for item in noted if not isinstance(item.what, Over)]
    events = _events(session, fired)
    chains = trigger_chains.of(session, events.values())
    book = _Book(session, {item.known.id for item in fired}, now)
    # Nothing of the kind can be over: all are written at once.
    plain = [item for item in fired if not item.known.spec.can_resolve]
    new = _insert(session, plain, events, chains, book, now)
    for item in noted:
        if isinstance(item.what, Over):
            _resolve(session, item.known, item.what, now)
        elif item.known.spec.can_resolve:
            new += _insert(session, [item], events, chains, book, now)
    return new


class _Book:
    """How often each trigger fired within the last hour."""

    def __init__(self, session: Session, ids: Iterable[uuid.UUID], now: datetime) -> None:
        rows = fetch(session, _RECENT, {"ids": list(ids), "after": uuid7_floor(now - HOUR)})
        self.fired = Counter({row.trigger_id: row.last - row.first + 1 for row in rows if row.first is not None})
        self._numbers = Counter({row.trigger_id: row.last for row in rows if row.last is not None})
        self.stopped = {row.trigger_id for row in rows if row.stopped}

    def suppressed(self, item: Noted, depth: int, now: datetime) -> str:
        """Why nothing is done; empty: something is."""
        known = item.known
        if known.muted_until is not None and known.muted_until > now:
            return "muted"
        if depth >= current().trigger_depth_max:
            return "depth"
        if isinstance(item.what, triggers.Firing) and item.what.debounced:
            return "debounced"
        if self.fired[known.id] >= known.hourly_max:
            return "rate"
        self.fired[known.id] += 1
        return ""

    def number(self, known_id: uuid.UUID) -> int:
        """Of the next firing of a trigger that something is done for."""
        self._numbers[known_id] += 1
        return self._numbers[known_id]

    def is_news(self, item: Noted, row: Mapping[str, Any]) -> bool:
        """Whether it is to be told that something was stopped: once a chain, and once an hour for its rate. What
        follows from being told so is deeper, and not told again.
        """
        if row["suppressed"] == "depth":
            return bool(row["depth"] == current().trigger_depth_max)
        if row["suppressed"] != "rate" or item.known.id in self.stopped:
            return False
        self.stopped.add(item.known.id)
        return True


def _insert(
    session: Session,
    items: Sequence[Noted],
    events: Mapping[str, Any],
    chains: Mapping[str, Chain],
    book: _Book,
    now: datetime,
) -> int:
    rows, told = [], []
    for item in items:
        assert isinstance(item.what, triggers.Firing)
        chain = trigger_chains.deepest(chains.get(cause) for cause in item.what.causes)
        depth = 0 if chain is None else chain.depth + 1
        why = book.suppressed(item, depth, now)
        row = _row(item, item.what, events, chain, depth, why, now)
        rows.append({**row, "number": None if why else book.number(item.known.id)})
    if not rows:
        return 0
    new = {row.id for row in fetch(session, _WRITE, {"rows": json_text(rows)})}
    wanted = []
    for item, row in zip(items, rows, strict=True):
        if row["id"] not in new:
            continue
        if not row["suppressed"]:
            wanted.append((row["id"], item.known.actions))
            told.append(_event("trigger.fired", item.known, row, now))
        elif book.is_news(item, row):
            told.append(_event("trigger.stopped", item.known, row, now, why=row["suppressed"]))
    actions.queue_all(session, wanted, "fire", now)
    record(session, told, now)
    return len(new)


def _row(
    item: Noted,
    firing: triggers.Firing,
    events: Mapping[str, Any],
    chain: Chain | None,
    depth: int,
    suppressed: str,
    now: datetime,
) -> dict[str, Any]:
    known, occurred = item.known, instant(firing.at)
    identifier = uuid7()
    momentary = not known.spec.can_resolve
    state = "suppressed" if suppressed else "resolved" if momentary else "open"
    cause = firing.causes[-1] if firing.causes else None
    return {
        "id": identifier,
        "trigger_id": known.id,
        "key": firing.key,
        "occasion": firing.occasion,
        "state": state,
        "suppressed": suppressed,
        "fired": now,
        "occurred": occurred,
        "event_id": uuid.UUID(cause) if cause else None,
        "reason": triggers.reason(known.spec, firing, item.event),
        "context": _context(item, firing, events.get(cause or ""), occurred, now),
        "chain_id": chain.id if chain is not None else identifier,
        "depth": depth,
        "resolved": now if state == "resolved" else None,
    }


def _context(item: Noted, firing: triggers.Firing, event: Any, occurred: datetime, now: datetime) -> dict[str, Any]:
    first = occurred if firing.first is None else instant(firing.first)
    found: dict[str, Any] = {
        "key": dict(zip(item.known.spec.for_each, triggers.key_values(firing.key), strict=False)),
        "window": {"from": to_text(first), "to": to_text(occurred), "count": firing.count},
        "causes": list(firing.causes),
        "late": item.event is None and now - occurred > LATE,
    }
    if event is not None:
        found["event"] = event
        found["labels"] = event["resource"]
    return found


def _events(session: Session, fired: Sequence[Noted]) -> dict[str, dict[str, Any]]:
    """The events that anything fired for, as JSON, by id."""
    ids = {uuid.UUID(cause) for item in fired for cause in getattr(item.what, "causes", ())}
    if not ids:
        return {}
    found = session.scalars(select(Event).where(Event.id.in_(ids)))
    return {str(event.id): _as_json(event) for event in found}


def _as_json(event: Event) -> dict[str, Any]:
    whole = len(str(event.payload)) <= PAYLOAD_MAX
    return {
        "id": str(event.id),
        "event": event.event,
        "occurred": to_text(event.occurred),
        "received": to_text(event.received),
        "resource": event.resource,
        "related": event.related,
        "payload": event.payload if whole else {},
        "follows": str(event.follows) if event.follows else None,
        # All that templates of actions see of it is here.
        "whole": whole,
    }


def _resolve(session: Session, known: Known, over: Over, now: datetime) -> None:
    """The open firing of a key is over, and what is to be done then."""
    statement = (
        update(Firing)
        .where(Firing.trigger_id == known.id, Firing.key == over.key, Firing.state == "open")
        .values(state="resolved", resolved=now)
        .returning(
            Firing.id, Firing.occasion, Firing.key, Firing.reason, Firing.event_id, Firing.chain_id, Firing.depth
        )
    )
    rows = [dict(row._mapping) for row in session.execute(statement)]
    actions.queue_all(session, [(row["id"], known.resolve_actions) for row in rows], "resolve", now)
    record(session, [_event("trigger.resolved", known, row, now) for row in rows], now)


def _event(name: str, known: Known, row: Mapping[str, Any], now: datetime, **more: Any) -> EventRecord:
    payload = {
        "key": row["key"], "occasion": row["occasion"], "reason": row["reason"], "severity": known.severity,
        "event_id": str(row["event_id"]) if row["event_id"] else None, **more,
    }  # fmt: skip
    related = [
        {"resource.id": f"orchestrator.firing.{row['id']}", "resource.role": "firing"},
        trigger_chains.label(Chain(row["chain_id"], row["depth"])),
    ]
    return EventRecord(name, resource("trigger", known.id, known.name), related, payload, occurred=now)
