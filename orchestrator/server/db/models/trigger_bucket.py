"""Where each trigger stands, by the key that it is evaluated for."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json


class TriggerBucket(Base):
    """What a trigger remembers of one key: what it has counted, what it waits for, whether it is firing."""

    __tablename__ = "trigger_bucket"

    trigger_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("trigger.id", ondelete="CASCADE"), primary_key=True)
    #: Values of the condition's ``for_each``, as JSON; ``[]`` without one.
    key: Mapped[str] = mapped_column(primary_key=True)
    #: The evaluator's memory (:mod:`orchestrator.triggers`).
    state: Mapped[Json]
    #: When the clock alone changes something: an absence is judged, a window closes.
    deadline: Mapped[datetime | None]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (Index("ix_trigger_bucket_deadline", "deadline", postgresql_where=text("deadline IS NOT NULL")),)
