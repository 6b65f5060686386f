"""Agents: processes that claim runs and execute them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, text
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
    #: It serves the queues whose names begin like this, too, whenever they were made.
    prefixes: Mapped[Tags]
    #: What it offers: a run is given to it only if the deployment requires nothing else.
    labels: Mapped[Tags]
    #: Whether a run of an earlier one of its queues is always given before those of later ones.
    waterfall: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: Seconds before its time that a run may be given to it; None: as many as the server says.
    prefetch_s: Mapped[float | None]
    #: Most runs it executes at once.
    slots: Mapped[int]
    created: Mapped[Created]
    last_heartbeat: Mapped[datetime]
    #: When it last had an answer to a claim, as far as it told, on the server's clock; None: it does not tell.
    pulled: Mapped[datetime | None]
    #: Why it cannot pull, though work waits and it has room, as found at its last heartbeat.
    unhealthy: Mapped[str | None]
    #: When it said good-bye.
    stopped: Mapped[datetime | None]
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_key.id", ondelete="SET NULL"))

    __table_args__ = (
        CheckConstraint("transport IN ('redis', 'http')", name="transport"),
        CheckConstraint("slots > 0", name="slots_positive"),
        CheckConstraint("prefetch_s >= 0", name="prefetch_not_negative"),
    )
