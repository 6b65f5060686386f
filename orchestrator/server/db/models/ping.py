"""Addresses that jobs of other schedulers call when they start and end."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class Ping(Base):
    """One address, and what was last heard by it."""

    __tablename__ = "ping"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    #: Id of the resource that its events are about.
    resource_id: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: SHA-256 of the secret part of the address.
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    #: ``started``, ``succeeded`` or ``failed``; None before anything was heard.
    state: Mapped[str | None]
    heard: Mapped[datetime | None]
    #: When the job under way started; None where none is, or its start was not told.
    started: Mapped[datetime | None]
    #: When each was last told.
    last_started: Mapped[datetime | None]
    last_succeeded: Mapped[datetime | None]
    last_failed: Mapped[datetime | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("state IN ('started', 'succeeded', 'failed')", name="state"),)
