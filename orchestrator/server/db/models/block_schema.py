"""Block schemas: each version of a block type's fields."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class BlockSchema(Base):
    """The JSON schema of one version of a block type. The checksum only tells versions apart; it never decides
    whether a document loads.
    """

    __tablename__ = "block_schema"

    id: Mapped[Key]
    block_type_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block_type.id", ondelete="CASCADE"))
    checksum: Mapped[str]
    fields: Mapped[Json]
    created: Mapped[Created]

    __table_args__ = (UniqueConstraint("block_type_id", "checksum"),)
