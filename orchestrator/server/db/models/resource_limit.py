"""Limits: how many runs may hold something at once."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class ResourceLimit(Base):
    """One limit. How many of its slots are taken is always counted, over :class:`LimitLease` and live runs."""

    __tablename__ = "resource_limit"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    slots: Mapped[int]
    #: The block that declares it by its field ``max_connections``.
    block_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), unique=True)
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("slots > 0", name="slots"),)
