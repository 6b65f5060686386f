"""One resource with what is around it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from orchestrator.errors import NotFound
from orchestrator.server.db.models import Block, Deployment, Event, Flow, Hold, Relation, Resource
from orchestrator.server.services.acting import holds
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.mapping import eta, resources, touching
from orchestrator.server.services.mapping.eta_history import DEPLOYMENT
from orchestrator.server.services.mapping.eta_rules import Eta
from orchestrator.server.services.recording import events, resource_states
from orchestrator.server.services.recording.events import EventFilter

from ..looks import Health, health

#: Neighbours that the page lists.
MOST = 100


@dataclass(frozen=True)
class Neighbour:
    """A resource at the other end of a relation."""

    id: str
    name: str
    kind: str
    role: str
    health: Health


@dataclass(frozen=True)
class ResourcePage:
    """All that the page shows."""

    id: str
    #: None for one that only events name.
    resource: Resource | None
    events: list[Event]
    source: Block | None = None
    source_name: str = ""
    #: What it is in relation to others, and others to it.
    out: list[Neighbour] = field(default_factory=list)
    into: list[Neighbour] = field(default_factory=list)
    #: What it was, newest first: rows with state, since, until, cause, event_id.
    states: list[Any] = field(default_factory=list)
    #: Those whose runs touch it, as (id, flow/name).
    deployments: list[tuple[uuid.UUID, str]] = field(default_factory=list)
    #: Those in force on it.
    holds: list[Hold] = field(default_factory=list)
    #: When it will be fresh next; None for things of our own that are never so.
    eta: Eta | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        if self.resource is not None:
            return self.resource.name
        named = (event.resource.get("resource.name") for event in self.events)
        return next(filter(None, named), self.id)

    @property
    def health(self) -> Health:
        """How it is now."""
        if self.resource is None:
            return health(None)
        return health("vanished" if self.resource.vanished else self.resource.state)


def load(session: Session, identifier: str, now: datetime) -> ResourcePage:
    """Read it all. Raises NotFound for what neither a resource nor an event is known of."""
    told = events.listing(session, EventFilter(resource_id=identifier), 20).items
    found = session.get(Resource, identifier)
    if found is None:
        if not told:
            raise NotFound(f"there is no resource {identifier}, and no event of it is kept")
        held = holds.on_labels(session, {"resource.id": identifier})
        return ResourcePage(identifier, None, told, holds=held)
    links = resources.relations(session, identifier, MOST).items
    names = {row.id: row for row in _named(session, links)}
    source = session.get(Block, found.source_block_id) if found.source_block_id else None
    return ResourcePage(
        id=identifier,
        resource=found,
        events=told,
        source=source,
        source_name=blocks.label(source) if source else "",
        out=[_neighbour(link.target, link, names) for link in links if link.source == identifier],
        into=[_neighbour(link.source, link, names) for link in links if link.source != identifier],
        states=resource_states.intervals(session, identifier, 10).items,
        deployments=_deployments(session, touching.deployments_touching(session, {"resource.id": identifier})),
        holds=holds.on_labels(session, _labels(found)),
        eta=eta_of(session, identifier, now),
    )


def eta_of(session: Session, identifier: str, now: datetime) -> Eta | None:
    """When it will be fresh next; None for things of our own that are never so."""
    if identifier.startswith("orchestrator.") and not identifier.startswith(DEPLOYMENT):
        return None
    return eta.of(session, [identifier], now)[identifier]


def _labels(row: Resource) -> dict[str, str]:
    own = {"resource.id": row.id, "resource.name": row.name, "resource.kind": row.kind}
    return {**row.labels, **row.own_labels, **own}


def _named(session: Session, links: list[Relation]) -> list[Resource]:
    ids = {link.source for link in links} | {link.target for link in links}
    return list(session.scalars(select(Resource).where(Resource.id.in_(ids)))) if ids else []


def _neighbour(identifier: str, link: Relation, names: dict[str, Resource]) -> Neighbour:
    row = names.get(identifier)
    if row is None:
        return Neighbour(identifier, identifier, "", link.role, health(None))
    return Neighbour(identifier, row.name, row.kind, link.role, health("vanished" if row.vanished else row.state))


def _deployments(session: Session, ids: list[uuid.UUID]) -> list[tuple[uuid.UUID, str]]:
    query = select(Deployment.id, Flow.name, Deployment.name).join(Flow, Flow.id == Deployment.flow_id)
    rows = session.execute(query.where(Deployment.id.in_(ids)).order_by(Flow.name, Deployment.name)) if ids else ()
    return [(key, f"{flow}/{name}") for key, flow, name in rows]
