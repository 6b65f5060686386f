"""Backfills: runs for slots of a schedule that lie behind."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class Backfill(Base):
    """One backfill. How far it is, its runs tell."""

    __tablename__ = "backfill"

    id: Mapped[Key]
    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"))
    #: The schedule whose slots it fills, and its slug, which stays when the schedule goes.
    schedule_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("schedule.id", ondelete="SET NULL"))
    schedule: Mapped[str]
    #: The slots' range, both ends included.
    starts: Mapped[datetime]
    ends: Mapped[datetime]
    #: Laid over the parameters of deployment and schedule; texts of the slot are not yet filled in.
    parameters: Mapped[Json]
    #: Most of its runs that go on at once.
    max_active: Mapped[int]
    #: Whether the latest slot comes first.
    backwards: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: Which slots that have runs got another one: see :class:`orchestrator.documents.backfills.Reprocess`.
    reprocess: Mapped[str]
    #: Slots that it left out, as they had runs.
    skipped: Mapped[int] = mapped_column(server_default="0", default=0)
    #: When somebody cancelled it as a whole.
    cancelled: Mapped[datetime | None]
    created: Mapped[Created]
    created_by: Mapped[Json]

    __table_args__ = (
        CheckConstraint("max_active > 0", name="max_active_positive"),
        CheckConstraint("reprocess IN ('none', 'failed', 'completed')", name="reprocess"),
        Index("ix_backfill_deployment", "deployment_id", text("id DESC")),
        Index("ix_backfill_schedule", "schedule_id"),
    )
