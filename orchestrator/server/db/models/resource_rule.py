"""Rules about resources: which are left out, and which are others by another name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class ResourceRule(Base):
    """What is done with resources whose id is like ``pattern``, in which ``*`` stands for anything."""

    __tablename__ = "resource_rule"

    id: Mapped[Key]
    pattern: Mapped[str] = mapped_column(unique=True)
    #: The resource that they are; None: they are left out.
    target: Mapped[str | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))
    created_by: Mapped[Json]

    __table_args__ = (CheckConstraint("pattern <> target", name="target"),)
