"""What people change of resources: owner, labels, what is the same; and letting go of those that fell silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import InvalidInput, NotFound
from ...config import current
from ...db.models import Resource, ResourceRule
from ..recording import resource_ids
from ..recording.announcements import announce
from ..recording.observing import RELATIONS_EACH
from ..recording.resource_ids import OWN
from ..statements import execute, fetch
from . import resource_rules

CHANGEABLE = ("owner", "description", "labels")
#: For so long after its change a rule is applied again to what is there: other processes may not have known it yet.
_APPLIED = timedelta(minutes=1)
#: What the silent ones make room for: part of the most that there may be.
_FULL, _AFTER = 0.95, 0.9

_MOVE = (
    """
    WITH old AS (DELETE FROM relation WHERE source = %(old)s OR target = %(old)s
        RETURNING CASE WHEN source = %(old)s THEN %(new)s ELSE source END AS source,
            CASE WHEN target = %(old)s THEN %(new)s ELSE target END AS target, role, weight, first_seen, last_seen)
    INSERT INTO relation AS r (source, target, role, weight, first_seen, last_seen)
    SELECT source, target, role, sum(weight), min(first_seen), max(last_seen) FROM old WHERE source <> target
    GROUP BY source, target, role ORDER BY source, target, role
    ON CONFLICT (source, target, role) DO UPDATE SET weight = r.weight + excluded.weight,
        first_seen = least(r.first_seen, excluded.first_seen), last_seen = greatest(r.last_seen, excluded.last_seen)""",
    """
    WITH old AS (DELETE FROM resource_state WHERE resource_id = %(old)s RETURNING *)
    INSERT INTO resource_state (resource_id, since, state, cause, event_id)
    SELECT %(new)s, since, state, cause, event_id FROM old ORDER BY since ON CONFLICT DO NOTHING""",
    """
    WITH old AS (DELETE FROM deployment_resource WHERE resource_id = %(old)s RETURNING *)
    INSERT INTO deployment_resource (deployment_id, role, resource_id, position)
    SELECT deployment_id, role, %(new)s, position FROM old ON CONFLICT DO NOTHING""",
    """
    WITH old AS (DELETE FROM resource WHERE id = %(old)s RETURNING *),
    newest AS (SELECT state, since FROM resource_state WHERE resource_id = %(new)s ORDER BY since DESC LIMIT 1)
    UPDATE resource r SET first_seen = least(r.first_seen, o.first_seen), owner = coalesce(r.owner, o.owner),
        description = CASE WHEN r.description = '' THEN o.description ELSE r.description END,
        labels = o.labels || r.labels, own_labels = o.own_labels || r.own_labels,
        last_seen = CASE WHEN r.origin = 'look' THEN r.last_seen ELSE greatest(r.last_seen, o.last_seen) END,
        last_event = CASE WHEN o.last_event_at > r.last_event_at OR r.last_event_at IS NULL
            THEN o.last_event ELSE r.last_event END,
        last_event_at = greatest(r.last_event_at, o.last_event_at),
        state = coalesce((SELECT state FROM newest), r.state),
        state_since = coalesce((SELECT since FROM newest), r.state_since)
    FROM old o WHERE r.id = %(new)s""",
)
_DROP = (
    "DELETE FROM relation WHERE source = ANY(%(ids)s) OR target = ANY(%(ids)s)",
    "DELETE FROM resource_state WHERE resource_id = ANY(%(ids)s)",
    "DELETE FROM resource WHERE id = ANY(%(ids)s)",
)
_RECENT = "SELECT pattern, target FROM resource_rule WHERE updated > %(since)s ORDER BY pattern"
_LIKE = """
SELECT id FROM resource WHERE id LIKE %(pattern)s ESCAPE '!' AND id NOT LIKE 'orchestrator.%%'
    AND id IS DISTINCT FROM %(target)s
ORDER BY id LIMIT %(batch)s FOR UPDATE"""

#: Resources that only events named, of which people said nothing, and that no deployment declares.
_LOOSE = """r.origin = 'event' AND r.owner IS NULL AND r.description = '' AND r.own_labels = '{}'
    AND NOT EXISTS (SELECT 1 FROM deployment_resource d WHERE d.resource_id = r.id)"""
_SILENT = f"""
SELECT r.id FROM resource r WHERE {_LOOSE} AND r.last_seen < %(before)s
ORDER BY r.last_seen LIMIT %(batch)s FOR UPDATE SKIP LOCKED"""
_SURPLUS = f"""
SELECT r.id FROM resource r WHERE {_LOOSE} ORDER BY r.last_seen LIMIT %(batch)s FOR UPDATE SKIP LOCKED"""
_COUNT = "SELECT (SELECT count(*) FROM resource WHERE origin = 'event') AS things, count(*) AS links FROM relation"
_OLD_LINKS = """
DELETE FROM relation WHERE ctid IN (
    SELECT ctid FROM relation WHERE last_seen < %(before)s ORDER BY last_seen LIMIT %(batch)s FOR UPDATE SKIP LOCKED)"""


def change(session: Session, identifier: str, values: Mapping[str, Any], *, actor: Actor, now: datetime) -> Resource:
    """Set ``owner`` (a text, or None), ``description`` or ``labels``: those that people gave; None takes one away.

    Raises:
        NotFound: There is no such resource.
        InvalidInput: A label begins with ``resource.``, which events say.
    """
    row = _locked(session, identifier)
    before = {"owner": row.owner, "description": row.description, "labels": dict(row.own_labels)}
    after = {name: values[name] for name in ("owner", "description") if name in values}
    if "owner" in after:
        after["owner"] = after["owner"] or None
    if "labels" in values:
        if wrong := sorted(name for name in values["labels"] if name.startswith("resource.")):
            problem = f"{wrong[0]} is what events say of a resource: take another name"
            raise InvalidInput(f"labels: {problem}", {"labels": [problem]})
        merged = {**row.own_labels, **values["labels"]}
        after["labels"] = {name: str(text) for name, text in merged.items() if text is not None}
    changes = {name: value for name, value in after.items() if before[name] != value}
    for name in changes:
        setattr(row, "own_labels" if name == "labels" else name, after[name])
    if changes:
        session.flush()
        announce(session, "resource.edited", _label(row), actor, now, before=before, after={**before, **after})
    return row


def merge(session: Session, identifier: str, into: str, *, actor: Actor, now: datetime) -> Resource:
    """Say that a resource is another one by another name: its relations and states move there, and what events and
    looks tell of it from now on is told of the other.

    Raises:
        NotFound: One of them is not there.
        InvalidInput: One is the server's own, both are the same, or the other is itself merged into a third.
    """
    for field, key in (("id", identifier), ("into", into)):
        if key.startswith(OWN):
            raise InvalidInput(f"{field}: {key} is the server's own and cannot be merged", {field: ["Is our own."]})
    rows = _both(session, identifier, into)
    if "*" in identifier:
        problem = "its id holds a *: make a rule for it in place of this"
        raise InvalidInput(f"id: {problem}", {"id": [problem]})
    resource_rules.save(session, identifier, into, actor=actor, now=now)
    told = _label(rows[into])
    _move(session, identifier, into)
    announce(session, "resource.merged", told, actor, now, merged=identifier, name=rows[identifier].name)
    session.expunge(rows[identifier])
    session.refresh(rows[into])
    return rows[into]


def apply_rules(session: Session, now: datetime, batch: int) -> int:
    """Merge or drop resources to which a rule applies that was changed lately; returns how many."""
    recent = fetch(session, _RECENT, {"since": now - _APPLIED})
    if not recent:
        return 0
    rules = resource_ids.Rules((row.pattern, row.target) for row in session.scalars(select(ResourceRule)))
    done = 0
    for rule in recent:
        pattern = "".join({"*": "%", "%": "!%", "_": "!_", "!": "!!"}.get(letter, letter) for letter in rule.pattern)
        rows = fetch(session, _LIKE, {"pattern": pattern, "target": rule.target, "batch": batch})
        moves = [(row.id, rules.resolve(row.id)) for row in rows]
        drop(session, [key for key, target in moves if target is None])
        for key, target in moves:
            if target is not None and target != key:
                _ensure(session, target, key)
                _move(session, key, target)
        done = max(done, len(rows))
    return done


def drop(session: Session, ids: Sequence[str]) -> None:
    """Delete resources with their relations and states."""
    if ids:
        for statement in _DROP:
            execute(session, statement, {"ids": list(ids)})


def forget(session: Session, now: datetime, batch: int) -> int:
    """Let go of some of the resources and relations that events named and that fell silent, or that are too many;
    returns how many.
    """
    before = now - current().resource_retention
    ids = [row.id for row in fetch(session, _SILENT, {"before": before, "batch": batch})]
    links = execute(session, _OLD_LINKS, {"before": before, "batch": batch})
    count, most = fetch(session, _COUNT, {})[0], current().resources_max
    surplus = _surplus(count.things - len(ids), most)
    if surplus and len(ids) < batch:
        wanted = min(surplus, batch - len(ids))
        drop(session, ids)
        ids = [row.id for row in fetch(session, _SURPLUS, {"batch": wanted})]
    drop(session, ids)
    too_many = _surplus(count.links, most * RELATIONS_EACH)
    if too_many:
        links += execute(session, _OLD_LINKS, {"before": now, "batch": min(too_many, batch)})
    return max(len(ids), links)


def _surplus(count: int, most: int) -> int:
    """How many are to go, so that there is room again before all of it is taken."""
    return max(0, count - int(most * _AFTER)) if count > most * _FULL else 0


def _move(session: Session, old: str, new: str) -> None:
    for statement in _MOVE:
        execute(session, statement, {"old": old, "new": new})


def _ensure(session: Session, identifier: str, like: str) -> None:
    """Make a resource that a rule names and nothing has told of yet."""
    execute(
        session,
        "INSERT INTO resource (id, kind, name, labels, origin, first_seen, last_seen, changed)"
        " SELECT %(id)s, kind, %(id)s, '{}', 'event', first_seen, last_seen, changed FROM resource WHERE id = %(like)s"
        " ON CONFLICT DO NOTHING",
        {"id": identifier, "like": like},
    )


def _both(session: Session, one: str, other: str) -> dict[str, Resource]:
    if one == other:
        problem = "name another resource than the one that is merged"
        raise InvalidInput(f"into: {problem}", {"into": [problem]})
    query = select(Resource).where(Resource.id.in_([one, other])).order_by(Resource.id).with_for_update()
    found = {row.id: row for row in session.scalars(query)}
    for key in (one, other):
        if key not in found:
            raise NotFound(f"there is no resource {key}")
    return found


def _locked(session: Session, identifier: str) -> Resource:
    row = session.scalar(select(Resource).where(Resource.id == identifier).with_for_update())
    if row is None:
        raise NotFound(f"there is no resource {identifier}")
    return row


def _label(row: Resource) -> dict[str, str]:
    return {"resource.id": row.id, "resource.name": row.name}
