"""States of resources: which events tell them, and what was when."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.orm import Session

from ....clock import from_text
from ...db.json_text import json_text
from ..paging import Page, check_limit, decode, page
from ..statements import execute, fetch

HEALTHY, WARNING, FAILING, VANISHED, UNKNOWN = "healthy", "warning", "failing", "vanished", "unknown"
#: The label by which an event gives a resource, its own or a related one, any state.
LABEL = "resource.state"
#: Longest name of a state.
STATE_MAX = 50

#: What the last word of an event's name says of the resource that it is about.
WORDS = {
    HEALTHY: ("passed", "succeeded", "completed", "recovered", "healthy", "resolved"),
    WARNING: ("warned", "warning", "degraded"),
    FAILING: ("failed", "failing", "crashed", "broken", "unhealthy"),
    VANISHED: ("vanished", "deleted", "removed"),
    UNKNOWN: ("appeared", "created"),
}
_BY_WORD = {word: state for state, words in WORDS.items() for word in words}

_SAVE = """
WITH given AS (
    SELECT * FROM json_to_recordset(%(rows)s::json) AS x(
        resource_id text, since timestamptz, state text, cause text, event_id uuid)
)
INSERT INTO resource_state AS s (resource_id, since, state, cause, event_id)
SELECT g.resource_id, g.since, g.state, g.cause, g.event_id
FROM given g JOIN resource r ON r.id = g.resource_id
WHERE g.state <> coalesce((SELECT p.state FROM resource_state p WHERE p.resource_id = g.resource_id
    AND p.since < g.since ORDER BY p.since DESC LIMIT 1), 'unknown')
ORDER BY g.resource_id, g.since
ON CONFLICT (resource_id, since) DO UPDATE
    SET state = excluded.state, cause = excluded.cause, event_id = excluded.event_id"""
_CURRENT = """
WITH newest AS (
    SELECT DISTINCT ON (resource_id) resource_id, since, state
    FROM json_to_recordset(%(rows)s::json) AS x(resource_id text, since timestamptz, state text)
    ORDER BY resource_id, since DESC
), held AS (
    SELECT r.id, n.since, n.state FROM resource r JOIN newest n ON n.resource_id = r.id
    WHERE r.state IS DISTINCT FROM n.state AND coalesce(r.state_since <= n.since, true)
        AND NOT (r.state IS NULL AND n.state = 'unknown')
    ORDER BY r.id FOR UPDATE OF r
)
UPDATE resource r SET state = h.state, state_since = h.since FROM held h WHERE r.id = h.id"""

#: What was told, equal neighbours joined, each with the end that the next one gives it.
_INTERVALS = """
SELECT state, since, lead(since) OVER (ORDER BY since) AS until, cause, event_id FROM (
    SELECT s.*, lag(s.state) OVER (ORDER BY s.since) AS before FROM resource_state s WHERE s.resource_id = %(id)s
) told WHERE before IS DISTINCT FROM state"""
_PAGE = f"""
SELECT * FROM ({_INTERVALS}) i WHERE since < coalesce(%(before)s::timestamptz, 'infinity')
ORDER BY since DESC LIMIT %(n)s"""

_FORGET = """
DELETE FROM resource_state WHERE ctid IN (
    SELECT s.ctid FROM resource_state s WHERE s.since < %(before)s AND (
        EXISTS (SELECT 1 FROM resource_state n WHERE n.resource_id = s.resource_id
            AND n.since > s.since AND n.since <= %(before)s)
        OR NOT EXISTS (SELECT 1 FROM resource r WHERE r.id = s.resource_id))
    LIMIT %(batch)s)"""


@dataclass(frozen=True)
class Told:
    """A resource came into a state at an instant."""

    resource_id: str
    since: datetime
    state: str
    cause: str
    event_id: uuid.UUID | None = None


@lru_cache(maxsize=10_000)
def of_event(name: str) -> str | None:
    """The state that an event's name tells of its resource; None: it tells none."""
    return _BY_WORD.get(name.rpartition(".")[2].rpartition("-")[2].lower())


def of_label(labels: Mapping[str, str]) -> str | None:
    """The state that a resource's labels give it; None: they give none."""
    text = labels.get(LABEL)
    return text.strip().lower()[:STATE_MAX] or None if text else None


def save(session: Session, told: Iterable[Told]) -> None:
    """Write what states resources came into, of those resources that are kept. Any order will do, and again as well:
    what is no change at its time is left out.
    """
    rows = _changes(told)
    if rows:
        text = json_text(rows)
        execute(session, _SAVE, {"rows": text})
        execute(session, _CURRENT, {"rows": text})


def intervals(session: Session, identifier: str, limit: int = 50, cursor: str | None = None) -> Page[Any]:
    """A page of the states of a resource, newest first: rows with ``state, since, until, cause, event_id``."""
    before = decode(cursor, from_text)[0] if cursor else None
    rows = fetch(session, _PAGE, {"id": identifier, "before": before, "n": check_limit(limit) + 1})
    return page(rows, limit, lambda row: (row.since,))


def forget(session: Session, before: datetime, batch: int) -> int:
    """Delete some of the states that ended before an instant, and those of resources that are gone."""
    return execute(session, _FORGET, {"before": before, "batch": batch})


def _changes(told: Iterable[Told]) -> list[dict[str, Any]]:
    """What changes from one to the next of each resource."""
    by_resource: dict[str, list[Told]] = {}
    for item in told:
        by_resource.setdefault(item.resource_id, []).append(item)
    rows = []
    for items in by_resource.values():
        for item in _run_lengths(sorted(items, key=lambda one: one.since)):
            rows.append(
                {"resource_id": item.resource_id, "since": item.since, "state": item.state, "cause": item.cause,
                 "event_id": item.event_id}
            )  # fmt: skip
    return rows


def _run_lengths(items: Sequence[Told]) -> Iterable[Told]:
    last: Told | None = None
    for place, item in enumerate(items):
        if place + 1 < len(items) and items[place + 1].since == item.since:
            continue  # two at one instant: the later told holds
        if last is None or last.state != item.state:
            yield item
            last = item
