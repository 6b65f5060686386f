"""Notifications: which deployments want them, and each one as it is sent."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Text

from .base import Base, Created, Key


class DeploymentNotification(Base):
    """A deployment has a notifier told when its runs come into certain states."""

    __tablename__ = "deployment_notification"

    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True)
    block_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("block.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
    #: Place in the deployment's document.
    position: Mapped[int] = mapped_column(server_default="0", default=0)
    #: State types of runs, in upper case, that are told.
    states: Mapped[list[str]] = mapped_column(ARRAY(Text))


class Notification(Base):
    """One message to one notifier: the outbox, and the record of what became of it."""

    __tablename__ = "notification"

    id: Mapped[Key]
    #: What it tells of; there is one message for each event and block.
    event_id: Mapped[uuid.UUID]
    #: No foreign key: what was sent stays known when the block is deleted.
    block_id: Mapped[uuid.UUID]
    #: ``type/name`` of the block at the time.
    block: Mapped[str]
    deployment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deployment.id", ondelete="SET NULL"))
    flow_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"))
    #: The run's state type that it tells of.
    run_state: Mapped[str]
    subject: Mapped[str]
    body: Mapped[str]
    #: ``waiting`` for its next try, ``sending``, ``sent``, or ``given-up``.
    state: Mapped[str] = mapped_column(server_default="waiting", default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    #: When it is tried (again); while it is sent: when that has taken too long.
    next_try: Mapped[datetime | None]
    #: The errand that sends it, where an agent does.
    errand_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("flow_run.id", ondelete="SET NULL"))
    sent: Mapped[datetime | None]
    given_up: Mapped[datetime | None]
    #: Why the last try failed; empty when it did not.
    error: Mapped[str] = mapped_column(server_default="", default="")
    created: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("event_id", "block_id"),
        CheckConstraint("state IN ('waiting', 'sending', 'sent', 'given-up')", name="state"),
        Index("ix_notification_due", "next_try", postgresql_where=text("state IN ('waiting', 'sending')")),
        Index("ix_notification_state", "state", text("id DESC")),
        Index("ix_notification_flow_run", "flow_run_id"),
        Index("ix_notification_deployment", "deployment_id", postgresql_where=text("deployment_id IS NOT NULL")),
        Index("ix_notification_errand", "errand_id", postgresql_where=text("errand_id IS NOT NULL")),
    )
