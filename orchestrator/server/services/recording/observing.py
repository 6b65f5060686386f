"""What events tell of resources: who they are, what they are to each other, how they are.

Events are gathered while a transaction takes them in, and written as its last work: one statement for resources and
relations, both in the order of their keys, so that transactions that name the same ones follow each other and never
wait in a circle. Our own things (deployments, blocks, ...) are kept by the loop of resources: events name them as ends
of relations only.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ...config import current
from ...db.json_text import json_text
from ...db.session import after_commit, before_commit
from ..statements import execute, fetch
from . import resource_ids, resource_states
from .resource_ids import OWN, Rules
from .told_lately import AS_ONE, ToldLately

#: Longest id, in bytes, of a resource that is kept: it is part of keys.
ID_MAX = 1000
NAME_MAX, KIND_MAX, ROLE_MAX = 1024, 200, 100
#: Labels that an event gives a resource: how many of them are kept, and the longest value, in characters.
LABELS_MAX, LABEL_MAX = 100, 1000
#: Kind of a resource of which no event told one, and whose id begins with no ``scheme://``.
OTHER = "other"

#: Our own things that can be an end of a relation. A flow run stands for its deployment.
KEPT = frozenset({"deployment", "flow", "block", "work-queue", "agent"})
#: Roles that tell the circumstances of an event, not what resources are to each other.
CIRCUMSTANCES = frozenset({
    "action", "actor", "agent", "chain", "chain-step", "event", "firing", "flow", "job", "task-run", "tag", "trigger",
    "triggering-event", "work-queue",
})  # fmt: skip
#: Roles by another name.
ROLES = {"input": "reads", "output": "writes"}
#: Roles of a run or deployment that an event about a resource is related to: the deployment reports of the resource.
REPORTERS = frozenset({"flow-run", "deployment"})
REPORTS = "reports"

#: Seconds for which a process goes by how much room it found.
_ROOM_S = 30.0
#: Relations that there may be for each resource.
RELATIONS_EACH = 5

#: Events of one name about one resource that lie so near to each other need not all be noted.
_AS_ONE = f"interval '{AS_ONE.total_seconds()} seconds'"
#: A relation is counted once in this time.
_COUNTED = "interval '1 minute'"


def _kind_of(identifier: str) -> str:
    """An SQL expression for the kind of a resource of which no event told one: the scheme of its id, if it has one."""
    scheme = f"left(split_part({identifier}, '://', 1), {KIND_MAX})"
    return f"CASE WHEN position('://' IN {identifier}) > 1 THEN {scheme} ELSE '{OTHER}' END"


_WRITE = f"""
WITH thing AS (
    INSERT INTO resource AS r (id, kind, name, labels, origin, first_seen, last_seen, changed, last_event,
        last_event_at, vanished)
    SELECT id, coalesce(nullif(x.kind, ''), {_kind_of("id")}), coalesce(nullif(x.name, ''), id), x.labels, 'event',
        first, at, at, event, heard, gone
    FROM json_to_recordset(%(things)s::json) AS x(id text, kind text, name text, labels jsonb, first timestamptz,
        at timestamptz, event text, heard timestamptz, gone timestamptz)
    LEFT JOIN resource k USING (id)
    WHERE CASE WHEN k.id IS NULL THEN %(is_open)s ELSE NOT (
        x.gone IS NULL AND (x.event IS NULL OR (x.event = k.last_event AND x.heard < k.last_event_at + {_AS_ONE}))
        AND (k.origin = 'look' OR (k.vanished IS NULL AND x.first >= k.first_seen AND x.at < k.last_seen + {_AS_ONE}
            AND x.name IN ('', k.name) AND x.kind IN ('', k.kind) AND k.labels @> x.labels))) END
    ORDER BY id
    ON CONFLICT (id) DO UPDATE SET
        kind = CASE WHEN r.origin = 'look' OR excluded.kind = {_kind_of("r.id")} THEN r.kind ELSE excluded.kind END,
        name = CASE WHEN r.origin = 'look' OR excluded.name = excluded.id THEN r.name ELSE excluded.name END,
        labels = CASE WHEN r.origin = 'look' OR excluded.labels = '{{}}' THEN r.labels
            WHEN pg_column_size(r.labels) < 16000 THEN r.labels || excluded.labels ELSE excluded.labels END,
        first_seen = least(r.first_seen, excluded.first_seen),
        last_seen = CASE WHEN r.origin = 'look' THEN r.last_seen ELSE greatest(r.last_seen, excluded.last_seen) END,
        last_event = CASE WHEN excluded.last_event_at >= coalesce(r.last_event_at, '-infinity')
            THEN excluded.last_event ELSE r.last_event END,
        last_event_at = greatest(r.last_event_at, excluded.last_event_at),
        vanished = CASE WHEN r.origin = 'look' OR excluded.last_seen < r.last_seen THEN r.vanished
            ELSE excluded.vanished END
)
INSERT INTO relation AS r (source, target, role, weight, first_seen, last_seen)
SELECT source, target, role, 1, first_at, last_at
FROM json_to_recordset(%(links)s::json) AS x(source text, target text, role text,
    first_at timestamptz, last_at timestamptz)
LEFT JOIN relation k USING (source, target, role)
WHERE CASE WHEN k.role IS NULL THEN %(is_open)s
    ELSE x.last_at >= k.last_seen + {_COUNTED} OR x.first_at < k.first_seen END
ORDER BY source, target, role
ON CONFLICT (source, target, role) DO UPDATE SET weight = r.weight + (excluded.last_seen > r.last_seen)::int,
    first_seen = least(r.first_seen, excluded.first_seen), last_seen = greatest(r.last_seen, excluded.last_seen)"""
_ROOM = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM resource WHERE origin = 'event' LIMIT %(most)s) r) < %(most)s
    AND (SELECT count(*) FROM (SELECT 1 FROM relation LIMIT %(links)s) l) < %(links)s AS is_open"""
_MISSING = """
SELECT id FROM unnest(%(ids)s::text[]) AS t(id) LEFT JOIN resource k USING (id)
WHERE k.id IS NULL OR k.vanished IS NOT NULL"""
_DEPLOYMENTS = "SELECT id, deployment_id FROM flow_run WHERE id = ANY(%(ids)s)"


class Observed(Protocol):
    """What is read of an event."""

    @property
    def id(self) -> uuid.UUID | None: ...
    @property
    def event(self) -> str: ...
    @property
    def resource(self) -> Mapping[str, str]: ...
    @property
    def related(self) -> Sequence[Mapping[str, str]]: ...
    @property
    def occurred(self) -> datetime | None: ...


@dataclass
class Seen:
    """What some events tell."""

    things: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[tuple[str, str, str], tuple[datetime, datetime]] = field(default_factory=dict)
    states: list[resource_states.Told] = field(default_factory=list)


def observe(session: Session, events: Sequence[Observed], now: datetime) -> None:
    """Note what these events, which were just stored, tell; it is written when the transaction ends."""
    if not events:
        return
    waiting: list[tuple[Sequence[Observed], datetime]] | None = session.info.get("observed")
    if waiting is None:
        waiting = session.info["observed"] = []
        before_commit(session, write, session)
    waiting.append((events, now))


def write(session: Session) -> None:
    """Write what was noted in this transaction."""
    waiting = session.info.pop("observed", [])
    rules = resource_ids.present(session)
    runs = _deployments(session, [event for events, _ in waiting for event in events])
    seen = Seen()
    for events, now in waiting:
        gather(seen, events, rules, runs, now)
    _save(session, seen)
    resource_states.save(session, seen.states)


def _save(session: Session, seen: Seen) -> None:
    """Write resources and relations, without what this process wrote a moment ago."""
    lately = _lately_told(session)
    known = lately.known(seen.things)
    missing = _missing(session, known)
    lately.forget(missing)
    things = {key: facts for key, facts in seen.things.items() if key not in known or key in missing}
    links = lately.news(seen.links, missing)
    if not things and not links:
        return
    rows = [{**facts, "id": key, "told": None} for key, facts in things.items()]
    pairs = [
        {"source": key[0], "target": key[1], "role": key[2], "first_at": told[0], "last_at": told[1]}
        for key, told in links.items()
    ]  # fmt: skip
    execute(session, _WRITE, {"things": json_text(rows), "links": json_text(pairs), "is_open": _is_open(session)})
    after_commit(session, lately.remember, things, links)


def _missing(session: Session, known: set[str]) -> set[str]:
    """Which of these resources are not there, or not any more."""
    return {row.id for row in fetch(session, _MISSING, {"ids": [*known]})} if known else set()


def gather(seen: Seen, events: Iterable[Observed], rules: Rules, runs: Mapping[str, str | None], now: datetime) -> None:
    """Add what events tell to what is known already.

    Args:
        runs: Ids of flow runs, as resources, with those of their deployments; None: they have none.
    """
    for event in events:
        at = event.occurred
        if at is None or at > now:
            at = now
        main = _end(event.resource["resource.id"], rules, runs)
        if main is not None and not main.startswith(OWN):
            state = resource_states.of_label(event.resource) or resource_states.of_event(event.event)
            _thing(seen, main, event.resource, at, event.event, state == resource_states.VANISHED)
            if state is not None:
                seen.states.append(resource_states.Told(main, at, state, event.event, event.id))
        for labels in event.related:
            _related(seen, main, labels, event, rules, runs, at)
        for told in getattr(event, "relations", ()):
            source = _end(told["source"], rules, runs) if told.get("source") else main
            target = _end(told["target"], rules, runs)
            for end in (source, target):
                if end is not None and not end.startswith(OWN):
                    _thing(seen, end, {}, at)
            _link(seen, source, target, told["role"], at)


def _related(
    seen: Seen,
    main: str | None,
    labels: Mapping[str, str],
    event: Observed,
    rules: Rules,
    runs: Mapping[str, str | None],
    at: datetime,
) -> None:
    role = labels["resource.role"]
    other = _end(labels["resource.id"], rules, runs)
    if other is None:
        return
    if not other.startswith(OWN):
        _thing(seen, other, labels, at)
        if (state := resource_states.of_label(labels)) is not None:
            seen.states.append(resource_states.Told(other, at, state, event.event, event.id))
    if role in CIRCUMSTANCES:
        return
    if role in REPORTERS:
        if main is not None and not main.startswith(OWN):
            _link(seen, other, main, REPORTS, at)
        return
    _link(seen, main, other, role, at)


def _end(identifier: str, rules: Rules, runs: Mapping[str, str | None]) -> str | None:
    """What a resource is kept as; None: it is not."""
    if identifier.startswith(OWN):
        if identifier in runs:
            return runs[identifier]
        return identifier if identifier[len(OWN) :].partition(".")[0] in KEPT else None
    kept = rules.resolve(identifier)
    if kept is None or (len(kept) * 4 > ID_MAX and len(kept.encode()) > ID_MAX):
        return None
    return kept


def _thing(
    seen: Seen, key: str, labels: Mapping[str, str], at: datetime, event: str | None = None, gone: bool = False
) -> None:
    found = seen.things.get(key)
    if found is None:
        found = seen.things[key] = {
            "kind": "", "name": "", "labels": {}, "first": at, "at": at, "event": None, "heard": None, "gone": None,
            "told": None,
        }  # fmt: skip
    elif not found["first"] <= at <= found["at"]:
        found["first"], found["at"] = min(at, found["first"]), max(at, found["at"])
    if event is not None and (found["heard"] is None or at >= found["heard"]):
        found["event"], found["heard"] = event, at
        found["gone"] = at if gone else None
    if labels == found["told"]:
        return
    found["told"] = labels
    if labels.get("resource.id", key) != key:
        return  # it is merged into another one, whose name and labels stay
    own = 0
    for name, value in labels.items():
        if not name.startswith("resource."):
            own += 1
        elif value and name == "resource.name":
            found["name"] = value[:NAME_MAX]
        elif value and name == "resource.kind":
            found["kind"] = value[:KIND_MAX]
    if own:
        kept = [(name, value) for name, value in labels.items() if not name.startswith("resource.")]
        found["labels"].update((name, value) for name, value in kept[:LABELS_MAX] if len(value) <= LABEL_MAX)


def _link(seen: Seen, source: str | None, target: str | None, role: str, at: datetime) -> None:
    if source is None or target is None or source == target:
        return
    key = (source, target, ROLES.get(role, role)[:ROLE_MAX])
    told = seen.links.get(key)
    if told is None:
        seen.links[key] = (at, at)
    elif not told[0] <= at <= told[1]:
        seen.links[key] = (min(told[0], at), max(told[1], at))


def _deployments(session: Session, events: Sequence[Observed]) -> dict[str, str | None]:
    """The deployments of the flow runs that events name, both as resources."""
    begin = f"{OWN}flow-run."
    named = {name for event in events for name in _names(event) if name.startswith(begin)}
    if not named:
        return {}
    found: dict[str, str | None] = dict.fromkeys(named)
    ids = {key: _uuid(key[len(begin) :]) for key in named}
    wanted = [key for key in ids.values() if key is not None]
    known = {row.id: row.deployment_id for row in fetch(session, _DEPLOYMENTS, {"ids": wanted})}
    for key, run_id in ids.items():
        deployment = known.get(run_id) if run_id is not None else None
        found[key] = f"{OWN}deployment.{deployment}" if deployment is not None else None
    return found


def _names(event: Observed) -> Iterator[str]:
    """The ids of all resources that an event names."""
    yield event.resource["resource.id"]
    for labels in event.related:
        yield labels["resource.id"]
    for relation in getattr(event, "relations", ()):
        yield from filter(None, (relation.get("source"), relation["target"]))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


_rooms: dict[Engine, tuple[float, int, bool]] = {}
_told: dict[Engine, ToldLately] = {}
_lock = threading.Lock()


def _lately_told(session: Session) -> ToldLately:
    engine = session.connection().engine
    found = _told.get(engine)
    if found is None:
        with _lock:
            _told.clear()
            found = _told[engine] = ToldLately()
    return found


def _is_open(session: Session) -> bool:
    """Whether there is room for new resources; the loop that deletes what is silent for longest makes some."""
    engine, most = session.connection().engine, current().resources_max
    held = _rooms.get(engine)
    if held is not None and held[1] == most and time.monotonic() - held[0] < _ROOM_S:
        return held[2]
    is_open: bool = fetch(session, _ROOM, {"most": most, "links": most * RELATIONS_EACH})[0].is_open
    with _lock:
        _rooms.clear()
        _rooms[engine] = (time.monotonic(), most, is_open)
    return is_open
