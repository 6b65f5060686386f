"""Schedules: when a deployment runs by itself."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class Schedule(Base):
    """One schedule of a deployment: exactly one of ``cron``, ``interval_s`` and ``rrule``."""

    __tablename__ = "schedule"

    id: Mapped[Key]
    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"), index=True)
    slug: Mapped[str]
    cron: Mapped[str | None]
    #: cron: whether day of month and day of week are joined by OR.
    day_or: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: Seconds between two runs.
    interval_s: Mapped[float | None]
    #: interval and rrule: the instant that fixes the phase.
    anchor: Mapped[datetime | None]
    rrule: Mapped[str | None]
    timezone: Mapped[str] = mapped_column(server_default="UTC", default="UTC")
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: Laid over the deployment's parameters.
    parameters: Mapped[Json]
    #: Runs up to here exist as rows; the loop goes on from it.
    materialised_to: Mapped[datetime | None]
    created: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("deployment_id", "slug"),
        CheckConstraint("num_nonnulls(cron, interval_s, rrule) = 1", name="one_kind"),
        CheckConstraint("interval_s > 0", name="interval_positive"),
    )
