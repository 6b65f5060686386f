"""Discovery: which blocks are looked through for resources, how often, and how it went."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, JsonOrNone


class Discovery(Base):
    """How one block is looked through; blocks that can be have a row from their first save."""

    __tablename__ = "discovery"

    block_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), primary_key=True)
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    interval_s: Mapped[int] = mapped_column(server_default="300", default=300)
    #: None: the queue ``default``.
    work_queue_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_queue.id", ondelete="SET NULL"))
    #: Where the last good look ended: what the block's ``observe`` gave. Some have megabytes, so it is read alone.
    cursor: Mapped[JsonOrNone] = mapped_column(deferred=True)
    next_due: Mapped[datetime] = mapped_column(server_default=text("now()"))
    last_run: Mapped[datetime | None]
    last_ok: Mapped[datetime | None]
    #: Looks that failed since the last good one.
    failures: Mapped[int] = mapped_column(server_default="0", default=0)
    #: Why the last look failed; empty when it did not.
    error: Mapped[str] = mapped_column(server_default="", default="")
    #: What the last good look left out, and what to do about it.
    notice: Mapped[str] = mapped_column(server_default="", default="")
    #: Resources that the last good look found.
    found: Mapped[int] = mapped_column(server_default="0", default=0)
    #: The look under way. There is never more than one.
    flow_run_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("flow_run.id", ondelete="SET NULL"))
    #: When the look under way was asked for: what it does not find had to be seen since.
    asked: Mapped[datetime | None]
    created: Mapped[Created]

    __table_args__ = (
        CheckConstraint("interval_s > 0", name="interval_positive"),
        Index("ix_discovery_due", "next_due", postgresql_where=text("active")),
        Index("ix_discovery_flow_run", "flow_run_id", postgresql_where=text("flow_run_id IS NOT NULL")),
        Index("ix_discovery_queue", "work_queue_id", postgresql_where=text("work_queue_id IS NOT NULL")),
    )
