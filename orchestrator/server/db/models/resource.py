"""Resources: what systems were found to have."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json


class Resource(Base):
    """Something that a look through a block found: a bucket, a table, a pod."""

    __tablename__ = "resource"

    #: The system's own, such as ``s3://bucket/raw``.
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    labels: Mapped[Json]
    #: The block that saw it last; None once that is deleted.
    source_block_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("block.id", ondelete="SET NULL"))
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]
    #: When kind, name or a label that is news changed last.
    changed: Mapped[datetime]
    #: When a whole look first did not find it.
    vanished: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_resource_source", "source_block_id", "last_seen", postgresql_where=text("vanished IS NULL")),
        Index("ix_resource_kind", "kind", "id"),
        Index("ix_resource_vanished", "vanished", postgresql_where=text("vanished IS NOT NULL")),
    )
