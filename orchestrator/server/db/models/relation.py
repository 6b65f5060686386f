"""Relations: what resources are to each other."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Relation(Base):
    """``source`` is ``role`` of ``target``: part of it, reads it. The target may not have been found (yet)."""

    __tablename__ = "relation"

    source: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str] = mapped_column(primary_key=True)
    role: Mapped[str] = mapped_column(primary_key=True)
    #: In how many minutes events told it, and how many looks saw it.
    weight: Mapped[int] = mapped_column(BigInteger, server_default=text("1"), default=1)
    first_seen: Mapped[datetime]
    last_seen: Mapped[datetime]

    __table_args__ = (Index("ix_relation_target", "target"),)
