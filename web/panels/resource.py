"""One resource with what is around it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from orchestrator.errors import NotFound
from orchestrator.server.db.models import Block, Event, Relation, Resource
from orchestrator.server.services import blocks, events, resources
from orchestrator.server.services.events import EventFilter

#: Neighbours and events that the page lists.
MOST = 100


@dataclass(frozen=True)
class Neighbour:
    """A resource at the other end of a relation."""

    id: str
    name: str
    kind: str
    role: str


@dataclass(frozen=True)
class ResourcePage:
    """All that the page shows."""

    id: str
    #: None for one that only events name.
    resource: Resource | None
    source: Block | None
    source_name: str
    #: What it is in relation to others, and others to it.
    out: list[Neighbour]
    into: list[Neighbour]
    events: list[Event]

    @property
    def name(self) -> str:
        """What people call it."""
        if self.resource is not None:
            return self.resource.name
        named = (event.resource.get("resource.name") for event in self.events)
        return next(filter(None, named), self.id)


def load(session: Session, identifier: str) -> ResourcePage:
    """Read it all. Raises NotFound for what neither a resource nor an event is known of."""
    told = events.listing(session, EventFilter(resource_id=identifier), 20).items
    found = session.get(Resource, identifier)
    if found is None and not told:
        raise NotFound(f"there is no resource {identifier}, and no event of it is kept")
    links = resources.relations(session, identifier, MOST).items
    names = {row.id: row for row in _named(session, links)}
    source = session.get(Block, found.source_block_id) if found and found.source_block_id else None
    return ResourcePage(
        identifier, found, source, blocks.label(source) if source else "",
        [_neighbour(link.target, link, names) for link in links if link.source == identifier],
        [_neighbour(link.source, link, names) for link in links if link.source != identifier],
        told,
    )  # fmt: skip


def _named(session: Session, links: list[Relation]) -> list[Resource]:
    ids = {link.source for link in links} | {link.target for link in links}
    return session.query(Resource).filter(Resource.id.in_(ids)).all() if ids else []


def _neighbour(identifier: str, link: Relation, names: dict[str, Resource]) -> Neighbour:
    row = names.get(identifier)
    return Neighbour(identifier, row.name if row else identifier, row.kind if row else "", link.role)
