"""Schedules: when a deployment runs by itself."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key, Tags


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
    #: It fires from ``starts`` to ``ends``, on the days of the calendar of this name (empty: on all), not on dates of
    #: ``skip_dates``: ``YYYY-MM-DD``, or ``MM-DD`` for each year.
    starts: Mapped[datetime | None]
    ends: Mapped[datetime | None]
    calendar: Mapped[str] = mapped_column(server_default="", default="")
    skip_dates: Mapped[Tags]
    #: Seconds by which runs may begin later than their slots.
    jitter_s: Mapped[float] = mapped_column(server_default="0", default=0.0)
    #: ``latest``, ``none``, ``all`` or ``window``: which slots are run that nobody took in time.
    catch_up: Mapped[str] = mapped_column(server_default="latest", default="latest")
    #: ``window``: seconds after its time for which a slot is still run.
    catch_up_s: Mapped[float | None]
    #: ``allow``, ``skip``, ``queue-one``, ``queue-all`` or ``cancel-other``: what a slot becomes while a run goes on.
    overlap: Mapped[str] = mapped_column(server_default="allow", default="allow")
    #: Whether a run that failed stops the schedule.
    pause_on_failure: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    note: Mapped[str] = mapped_column(server_default="", default="")
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: Since when it is active; failures before do not stop it.
    started: Mapped[datetime | None]
    #: Laid over the deployment's parameters.
    parameters: Mapped[Json]
    #: Runs up to here exist as rows; the loop goes on from it.
    materialised_to: Mapped[datetime | None]
    created: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("deployment_id", "slug"),
        CheckConstraint("num_nonnulls(cron, interval_s, rrule) = 1", name="one_kind"),
        CheckConstraint("interval_s > 0", name="interval_positive"),
        CheckConstraint("(catch_up = 'window') = (catch_up_s IS NOT NULL)", name="window"),
    )
