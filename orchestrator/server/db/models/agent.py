"""Agents: processes that claim runs and execute them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key, Tags


class Agent(Base):
    """One agent process; its status is computed on read from ``last_heartbeat`` and ``stopped``."""

    __tablename__ = "agent"

    id: Mapped[Key]
    name: Mapped[str]
    hostname: Mapped[str]
    pid: Mapped[int]
    version: Mapped[str]
    #: ``redis`` or ``http``.
    transport: Mapped[str]
    #: Names of the queues it serves.
    queues: Mapped[Tags]
    #: Most runs it executes at once.
    slots: Mapped[int]
    created: Mapped[Created]
    last_heartbeat: Mapped[datetime]
    #: When it said good-bye.
    stopped: Mapped[datetime | None]
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_key.id", ondelete="SET NULL"))

    __table_args__ = (
        CheckConstraint("transport IN ('redis', 'http')", name="transport"),
        CheckConstraint("slots > 0", name="slots_positive"),
    )
