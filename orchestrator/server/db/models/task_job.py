"""Calls of tasks that a running flow hands to its workers on other computers, until it has taken their outcomes."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class TaskJob(Base):
    """One call. What it holds is sealed by the flow's process for its workers, and back: nothing here reads it."""

    __tablename__ = "task_job"

    #: Made up by the flow's process.
    id: Mapped[Key]
    flow_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"))
    order: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[Created]
    #: The run of a worker that took it.
    worker_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("flow_run.id", ondelete="SET NULL"))
    ended: Mapped[datetime | None]
    outcome: Mapped[bytes | None] = mapped_column(LargeBinary)
    #: How its worker ended, where that came before the end of the call.
    lost: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("(ended IS NULL) = (outcome IS NULL AND lost IS NULL)", name="ended_with_outcome"),
        Index("ix_task_job_open", "flow_run_id", "id", postgresql_where=text("ended IS NULL")),
        Index("ix_task_job_ended", "flow_run_id", "ended", postgresql_where=text("ended IS NOT NULL")),
        Index("ix_task_job_worker", "worker_id", postgresql_where=text("worker_id IS NOT NULL")),
    )
