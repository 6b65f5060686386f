"""The history of each task run: one row a change of state."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import STATE_TYPES, Base, Key


class TaskRunState(Base):
    """One state that a task run took."""

    __tablename__ = "task_run_state"

    id: Mapped[Key]
    task_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("task_run.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    type: Mapped[str]
    name: Mapped[str]
    message: Mapped[str] = mapped_column(server_default="", default="")
    at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(f"type IN ({STATE_TYPES})", name="type"),
        Index("ix_task_run_state_run", "task_run_id", "id"),
    )
