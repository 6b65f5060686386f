"""Resources: what looks through blocks found, what became of it, and what is what to what."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select, tuple_
from sqlalchemy.orm import Session

from ....errors import NotFound
from ...db.json_text import json_text
from ...db.models import Block, Relation, Resource, ResourceState
from ..configuring import blocks
from ..paging import Page, check_limit, decode, page
from ..recording import resource_ids
from ..recording.announcements import resource as label
from ..recording.events import EventRecord, record
from ..recording.resource_ids import Rules
from ..recording.resource_states import UNKNOWN, VANISHED, Told, of_event, save
from ..statements import execute, fetch

#: Related resources that an event names.
RELATED_NAMED = 20

_UPSERT = """
INSERT INTO resource AS r (id, kind, name, labels, origin, source_block_id, first_seen, last_seen, changed)
SELECT id, kind, name, labels, 'look', %(block)s, %(now)s, %(now)s, %(now)s
FROM json_to_recordset(%(rows)s::json) AS x(id text, kind text, name text, labels jsonb) ORDER BY id
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, labels = excluded.labels,
    origin = 'look', source_block_id = excluded.source_block_id, last_seen = excluded.last_seen, vanished = NULL,
    changed = CASE WHEN r.id = ANY(%(news)s) THEN excluded.changed ELSE r.changed END"""
_RELATE = """
INSERT INTO relation (source, target, role, first_seen, last_seen)
SELECT DISTINCT source, target, role, %(now)s::timestamptz, %(now)s::timestamptz
FROM json_to_recordset(%(rows)s::json) AS x(source text, target text, role text) ORDER BY 1, 2, 3
ON CONFLICT (source, target, role) DO UPDATE SET last_seen = excluded.last_seen, weight = relation.weight + 1"""
_STATES_AT = """
SELECT DISTINCT ON (resource_id) resource_id, state, since FROM resource_state
WHERE resource_id = ANY(%(ids)s) AND since <= %(as_of)s ORDER BY resource_id, since DESC"""
_GONE = """
UPDATE resource SET vanished = %(now)s WHERE id IN (
    SELECT id FROM resource WHERE source_block_id = %(block)s AND vanished IS NULL AND last_seen < %(asked)s
    ORDER BY id FOR UPDATE)
RETURNING id, kind, name, last_seen"""
_UNRELATED = """
DELETE FROM relation r USING resource s
WHERE r.source = s.id AND s.source_block_id = %(block)s AND r.last_seen < %(asked)s"""
_ORPHANS = """
UPDATE resource SET vanished = %(now)s WHERE id IN (
    SELECT id FROM resource WHERE origin = 'look' AND source_block_id IS NULL AND vanished IS NULL
    ORDER BY id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
RETURNING id, kind, name, last_seen"""


@dataclass(frozen=True)
class ResourceFilter:
    """Which resources a list shows; what is None does not restrict."""

    #: A kind, or a beginning with ``*``: ``s3.*``.
    kind: str | None = None
    #: Part of the name, in any case.
    name: str | None = None
    #: The block that found them: an id, or ``type/name``.
    source: str | None = None
    #: Those that vanished in place of those that are there.
    vanished: bool = False
    #: What they are: ``healthy``, ``failing``, ...; ``unknown`` where nothing told.
    state: str | None = None
    owner: str | None = None
    #: Labels with their values.
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Those that were there then, and as they were.
    as_of: datetime | None = None


def see(session: Session, block: Block, items: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """Write what a look found; returns how many resources are new.

    Args:
        items: ``{id, kind, name, labels, volatile, related: [{id, role}]}``.
    """
    rules = resource_ids.present(session)
    found = {item["id"]: item for item in (_kept(item, rules) for item in items) if item is not None}
    query = select(Resource).where(Resource.id.in_(list(found))).order_by(Resource.id).with_for_update()
    known = {row.id: row for row in session.scalars(query)}
    told: list[EventRecord] = []
    appeared = 0
    for identifier, item in found.items():
        before = known.get(identifier)
        if before is None or before.vanished is not None:
            appeared += 1
            told.append(_event("resource.appeared", block, item, {"labels": item["labels"]}))
        elif before.source_block_id == block.id and (changes := _changes(before, item)):
            told.append(_event("resource.changed", block, item, {"labels": item["labels"], "changes": changes}))
    news = [event.resource["resource.id"] for event in told]
    for row in known.values():
        session.expunge(row)  # the statement below writes past the session
    rows = [{name: item[name] for name in ("id", "kind", "name", "labels")} for item in found.values()]
    execute(session, _UPSERT, {"rows": json_text(rows), "news": news, "block": block.id, "now": now})
    links = [{"source": key, "target": to["id"], "role": to["role"]} for key, item in found.items()
             for to in item["related"]]  # fmt: skip
    if links:
        execute(session, _RELATE, {"rows": json_text(links), "now": now})
    record(session, told, now)
    _tell_states(session, told, now)
    return appeared


def vanish(session: Session, block: Block, asked: datetime, now: datetime) -> int:
    """Tell what a whole look did not find; returns how many resources that are.

    Args:
        asked: When the look was asked for: what is there was seen since.
    """
    parameters = {"block": block.id, "asked": asked, "now": now}
    rows = fetch(session, _GONE, parameters)
    execute(session, _UNRELATED, parameters)
    told = [_gone(row, block, "the last look did not find it") for row in rows]
    record(session, told, now)
    _tell_states(session, told, now)
    return len(rows)


def forget_orphans(session: Session, now: datetime, batch: int) -> int:
    """Let go of some of the resources whose block was deleted; returns how many."""
    rows = fetch(session, _ORPHANS, {"now": now, "batch": batch})
    told = [_gone(row, None, "the block that found it was deleted") for row in rows]
    record(session, told, now)
    _tell_states(session, told, now)
    return len(rows)


def get(session: Session, identifier: str) -> Resource:
    """One resource. Raises NotFound."""
    found = session.get(Resource, identifier)
    if found is None:
        raise NotFound(f"there is no resource {identifier}")
    return found


def listing(
    session: Session, wanted: ResourceFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[Resource]:
    """A page of resources, by id. Raises NotFound where the source is no block."""
    wanted = wanted or ResourceFilter()
    query = _there(select(Resource), wanted)
    if wanted.kind and wanted.kind.endswith("*"):
        query = query.where(Resource.kind.startswith(wanted.kind[:-1], autoescape=True))
    elif wanted.kind:
        query = query.where(Resource.kind == wanted.kind)
    if wanted.name:
        query = query.where(Resource.name.icontains(wanted.name, autoescape=True))
    if wanted.source:
        query = query.where(Resource.source_block_id == blocks.get(session, wanted.source).id)
    if wanted.owner:
        query = query.where(Resource.owner == wanted.owner)
    if wanted.labels:
        query = query.where(Resource.labels.op("||")(Resource.own_labels).contains(dict(wanted.labels)))
    if cursor:
        query = query.where(Resource.id > decode(cursor, str)[0])
    rows = session.scalars(query.order_by(Resource.id).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.id,))


def states_at(session: Session, ids: Sequence[str], as_of: datetime) -> dict[str, tuple[str, datetime]]:
    """What resources were at an instant, and since when; those of which nothing was told are left out."""
    rows = fetch(session, _STATES_AT, {"ids": list(ids), "as_of": as_of})
    return {row.resource_id: (row.state, row.since) for row in rows}


def relations(
    session: Session,
    identifier: str,
    limit: int = 50,
    cursor: str | None = None,
    as_of: datetime | None = None,
) -> Page[Relation]:
    """A page of the relations that a resource is the source or the target of; those first told until ``as_of``."""
    key = (Relation.source, Relation.target, Relation.role)
    query = select(Relation).where(or_(Relation.source == identifier, Relation.target == identifier))
    if as_of is not None:
        query = query.where(Relation.first_seen <= as_of)
    if cursor:
        query = query.where(tuple_(*key) > tuple_(*decode(cursor, str, str, str)))
    rows = session.scalars(query.order_by(*key).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.source, row.target, row.role))


def labels_of(item: Mapping[str, Any]) -> dict[str, str]:
    """The labels by which events name a resource."""
    return {"resource.id": item["id"], "resource.name": item["name"], "resource.kind": item["kind"]}


def related_of(block: Block | None, item: Mapping[str, Any]) -> list[dict[str, str]]:
    """What an event about a resource is related to: the block that saw it, and what the resource belongs to."""
    found = [label("block", block.id, blocks.label(block), "source")] if block is not None else []
    links = item.get("related") or ()
    return found + [{"resource.id": to["id"], "resource.role": to["role"]} for to in links[:RELATED_NAMED]]


def _there(query: Select[Any], wanted: ResourceFilter) -> Select[Any]:
    """Those that are there and in the state that is wanted, now or at an instant."""
    if wanted.as_of is None:
        query = query.where(Resource.vanished.is_not(None) if wanted.vanished else Resource.vanished.is_(None))
        if wanted.state:
            query = query.where(func.coalesce(Resource.state, UNKNOWN) == wanted.state)
        return query
    then = (
        select(ResourceState.state)
        .where(ResourceState.resource_id == Resource.id, ResourceState.since <= wanted.as_of)
        .order_by(ResourceState.since.desc())
        .limit(1)
        .scalar_subquery()
    )
    state = func.coalesce(then, UNKNOWN)
    gone = or_(Resource.vanished <= wanted.as_of, state == VANISHED)
    query = query.where(Resource.first_seen <= wanted.as_of, gone if wanted.vanished else gone.is_not(True))
    return query.where(state == wanted.state) if wanted.state else query


def _kept(item: Mapping[str, Any], rules: Rules) -> Mapping[str, Any] | None:
    """What a look found, as the rules say; None: it is left out."""
    kept = rules.resolve(item["id"])
    if kept is None:
        return None
    ends = [{**to, "id": end} for to in item["related"] if (end := rules.resolve(to["id"])) not in (None, kept)]
    return {**item, "id": kept, "related": ends}


def _tell_states(session: Session, told: Sequence[EventRecord], now: datetime) -> None:
    """What the events of looks say: what appeared, and what vanished."""
    states = [
        Told(event.resource["resource.id"], now, state, event.event)
        for event in told
        if (state := of_event(event.event)) is not None
    ]
    save(session, states)


def _changes(before: Resource, item: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What is news: name -> [before, after]."""
    quiet = set(item["volatile"])
    old, new = before.labels, item["labels"]
    pairs = {name: [old.get(name), new.get(name)] for name in sorted({*old, *new} - quiet)}
    pairs.update({"kind": [before.kind, item["kind"]], "name": [before.name, item["name"]]})
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _event(name: str, block: Block, item: Mapping[str, Any], payload: dict[str, Any]) -> EventRecord:
    return EventRecord(name, labels_of(item), related_of(block, item), payload, source="block")


def _gone(row: Any, block: Block | None, why: str) -> EventRecord:
    item = {"id": row.id, "name": row.name, "kind": row.kind}
    payload = {"last_seen": row.last_seen, "why": why}
    return EventRecord("resource.vanished", labels_of(item), related_of(block, item), payload, source="block")


def source_label(session: Session, block_id: uuid.UUID | None) -> str | None:
    """``type/name`` of the block that found a resource."""
    block = session.get(Block, block_id) if block_id is not None else None
    return blocks.label(block) if block is not None else None
