"""The stack map, as its script takes it."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.ids import uuid7_floor
from orchestrator.server.services.mapping import stack_map
from orchestrator.server.services.mapping.eta_rules import length
from orchestrator.server.services.mapping.stack_map import MapFilter
from orchestrator.server.services.paging import encode
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter

from ..icons import icon
from ..looks import HEALTH, health
from .resource import eta_of

#: Most resources that one map holds.
NODES = 10_000
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


def load(session: Session, kind: str, as_of: datetime | None) -> dict[str, Any]:
    """What is there, now or at an earlier time.

    Returns:
        ``nodes`` as [id, name, kind, health], ``edges`` as [place of the source, place of the target, role], and
        whether there are ``more`` than the map holds.
    """
    kinds = (kind,) if kind else ()
    wanted = MapFilter(kinds, as_of=as_of, told=True, lingers=LINGERS, most=NODES)
    drawn = stack_map.draw(session, wanted)
    # By id: what is heard of does not change its place.
    nodes = sorted(drawn["nodes"], key=lambda node: node["id"])
    place = {node["id"]: index for index, node in enumerate(nodes)}
    edges = sorted((place[edge["source"]], place[edge["target"]], edge["role"]) for edge in drawn["edges"])
    return {
        "nodes": [[node["id"], node["name"], node["kind"], health(node["state"]).key] for node in nodes],
        "edges": edges,
        "more": drawn["total"] > len(nodes),
    }


def ahead(session: Session, identifier: str, now: datetime) -> dict[str, Any]:
    """When a resource will be fresh next, for its card: ``expected``, ``early``, ``late``, and what else is said."""
    found = eta_of(session, identifier, now)
    if found is None:
        return {"expected": None, "unknown": ""}
    late = f"late by {length(found.late_s)}" if found.late_s else ""
    return {
        "expected": found.expected, "early": found.early, "late": found.late, "unknown": found.unknown,
        "said": late + (f" because {found.because}" if late and found.because else ""), "failed": found.failed,
    }  # fmt: skip


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
