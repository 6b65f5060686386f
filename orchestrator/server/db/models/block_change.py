"""What was changed of which block, and by whom."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json, Key


class BlockChange(Base):
    """One change of one block. Of secrets it is known that they changed, never what they were."""

    __tablename__ = "block_change"

    id: Mapped[Key]
    block_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(index=True)
    #: As :class:`orchestrator.documents.records.Actor` writes it.
    by: Mapped[Json]
    verb: Mapped[str]
    #: A list of ``{"field", "secret", "before", "after"}``.
    fields: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)

    __table_args__ = (
        CheckConstraint("verb IN ('created', 'updated', 'rotated')", name="verb"),
        Index("ix_block_change_block", "block_id", text("id DESC")),
    )
