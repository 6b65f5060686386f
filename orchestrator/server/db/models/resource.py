"""Resources: what systems have, as looks found it, events named it, or deployments declare it; and our own things."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json

#: How a resource came to be known: by a look through a block, by an event that named it, by the document of a
#: deployment; or it is a thing of our own, such as a flow.
LOOK, EVENT, DECLARED, OWN = "look", "event", "declared", "own"


class Resource(Base):
    """Something that moves in the stack: a bucket, a table, a pod, a deployment."""

    __tablename__ = "resource"

    #: The system's own, such as ``s3://bucket/raw``.
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    #: As looks and events tell them.
    labels: Mapped[Json]
    #: Set by hand; they go over ``labels``.
    own_labels: Mapped[Json]
    origin: Mapped[str] = mapped_column(server_default=text(f"'{EVENT}'"), default=EVENT)
    owner: Mapped[str | None]
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: As of now; :class:`.ResourceState` has what it was before. None: nothing ever told.
    state: Mapped[str | None]
    state_since: Mapped[datetime | None]
    #: The last event about it, by its time.
    last_event: Mapped[str | None]
    last_event_at: Mapped[datetime | None]
    #: The block that saw it last; None once that is deleted.
    source_block_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("block.id", ondelete="SET NULL"))
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    #: When kind, name or a label that is news changed last.
    changed: Mapped[datetime]
    #: When a whole look first did not find it.
    vanished: Mapped[datetime | None]

    __table_args__ = (
        # No index may hold what every event changes, such as last_seen: rows are updated in place then.
        Index("ix_resource_block", "source_block_id", postgresql_where=text("vanished IS NULL")),
        Index("ix_resource_kind", "kind", "id"),
        Index("ix_resource_vanished", "vanished", postgresql_where=text("vanished IS NOT NULL")),
    )
