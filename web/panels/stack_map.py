"""The stack map, as its script takes it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from orchestrator.ids import uuid7_floor
from orchestrator.server.db.models import Relation, Resource
from orchestrator.server.services.mapping import resources
from orchestrator.server.services.paging import encode
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter

from ..icons import icon
from ..looks import HEALTH, health

#: Most resources, and relations, that one map holds.
NODES, EDGES = 10_000, 40_000
#: Most events that travel over the map in one go.
PULSES = 60
#: What vanished stays on the map for so long.
LINGERS = timedelta(days=1)


def looks() -> dict[str, dict[str, str]]:
    """Name, class, colour and sign of each health, for the script and the legend."""
    return {
        key: {"css": look.css, "name": look.name, "sign": str(icon(look.icon)), "colour": f"--c-{look.colour}"}
        for key, look in HEALTH.items()
    }


def load(session: Session, kind: str, as_of: datetime | None, now: datetime) -> dict[str, Any]:
    """What is there, now or at an earlier time.

    Returns:
        ``nodes`` as [id, name, kind, health], ``edges`` as [place of the source, place of the target, role], and
        whether there are ``more`` than the map holds.
    """
    at = as_of or now
    query = select(Resource.id, Resource.name, Resource.kind, Resource.state, Resource.origin, Resource.vanished)
    query = query.where(or_(Resource.vanished.is_(None), Resource.vanished > at - LINGERS))
    if as_of:
        query = query.where(Resource.first_seen <= as_of)
    if kind.endswith("*"):
        query = query.where(Resource.kind.startswith(kind[:-1], autoescape=True))
    elif kind:
        query = query.where(Resource.kind == kind)
    rows = session.execute(query.order_by(Resource.id).limit(NODES + 1)).all()
    links = _links(session, as_of)
    related = {end for source, target, _ in links for end in (source, target)}
    shown = [row for row in rows[:NODES] if row.origin != "own" or row.kind == "deployment" or row.id in related]
    then = resources.states_at(session, [row.id for row in shown], as_of) if as_of else {}
    place = {row.id: index for index, row in enumerate(shown)}
    return {
        "nodes": [[row.id, row.name, row.kind, health(_state(row, as_of, then)).key] for row in shown],
        "edges": [[place[a], place[b], role] for a, b, role in links if a in place and b in place],
        "more": len(rows) > NODES,
    }


def _links(session: Session, as_of: datetime | None) -> list[tuple[str, str, str]]:
    query = select(Relation.source, Relation.target, Relation.role)
    if as_of:
        query = query.where(Relation.first_seen <= as_of)
    ordered = query.order_by(Relation.last_seen.desc(), Relation.source, Relation.target, Relation.role)
    return [(source, target, role) for source, target, role in session.execute(ordered.limit(EDGES))]


def _state(row: Any, as_of: datetime | None, then: dict[str, tuple[str, datetime]]) -> str | None:
    if row.vanished is not None and (as_of is None or row.vanished <= as_of):
        return "vanished"
    return then.get(row.id, (None,))[0] if as_of else row.state


def pulses(session: Session, after: uuid.UUID | None, now: datetime) -> dict[str, Any]:
    """Events after one, oldest first, as [id, name, resource, related ones]; and where to go on from."""
    start = after or uuid7_floor(now - timedelta(seconds=2))
    found = events.listing(session, EventFilter(), PULSES, encode(start), oldest_first=True).items
    return {
        "events": [
            [str(row.id), row.event, row.resource_id, [labels["resource.id"] for labels in row.related]]
            for row in found
        ],
        "after": str(found[-1].id if found else start),
    }
