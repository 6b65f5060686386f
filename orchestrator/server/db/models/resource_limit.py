"""Limits: how many runs may hold something at once."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Double, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class ResourceLimit(Base):
    """One limit. How many of its slots are taken is always counted: over :class:`LimitLease` and live runs where a
    block declares it, over :class:`SlotLease` else.
    """

    __tablename__ = "resource_limit"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    slots: Mapped[int]
    #: The block that declares it by its field ``max_connections``.
    block_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), unique=True)
    #: One that is not active limits nothing.
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: Given: slots are not given back, but come back by themselves, so many a second.
    slot_decay_per_second: Mapped[float | None] = mapped_column(Double)
    #: Of a limit whose slots come back by themselves: how many were out at a time.
    level: Mapped[float] = mapped_column(Double, server_default=text("0"), default=0.0)
    level_at: Mapped[datetime | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("slots > 0", name="slots"),
        CheckConstraint("slot_decay_per_second > 0", name="decay"),
    )
