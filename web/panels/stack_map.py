"""The stack map, as its script takes it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.ids import uuid7_floor
from orchestrator.server.db.models import Relation, Resource
from orchestrator.server.services import events
from orchestrator.server.services.events import EventFilter
from orchestrator.server.services.paging import encode

from ..icons import icon
from ..looks import HEALTH

#: Most events that travel over the map in one go.
PULSES = 60


def looks() -> dict[str, dict[str, str]]:
    """Name, class, colour and sign of each health, for the script and the legend."""
    return {
        key: {"css": look.css, "name": look.name, "sign": str(icon(look.icon)), "colour": f"--c-{look.colour}"}
        for key, look in HEALTH.items()
    }


def load(session: Session, kind: str, as_of: datetime | None) -> dict[str, Any]:
    """Nodes as [id, name, kind, health], edges as [place of the source, place of the target, role]."""
    nodes = session.execute(select(Resource.id, Resource.name, Resource.kind)).all()
    place = {row.id: index for index, row in enumerate(nodes)}
    edges = session.execute(select(Relation.source, Relation.target, Relation.role)).all()
    return {
        "nodes": [[row.id, row.name, row.kind, "none"] for row in nodes],
        "edges": [[place[a], place[b], role] for a, b, role in edges if a in place and b in place],
        "more": False,
    }


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
