"""Slots of limits that code holds, or waits for."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class SlotLease(Base):
    """What one request holds of one limit; a request for several limits has a row for each, under one id."""

    __tablename__ = "slot_lease"

    #: The request's id, which its process chose.
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    limit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("resource_limit.id", ondelete="CASCADE"), primary_key=True)
    occupy: Mapped[int]
    #: Of how many limits the request asks for slots.
    parts: Mapped[int]
    #: Who holds it, for people.
    holder: Mapped[str] = mapped_column(server_default="", default="")
    #: The run whose code asked, and the outermost one around it. No foreign keys: a run by hand may be reported later.
    flow_run_id: Mapped[uuid.UUID | None]
    root_run_id: Mapped[uuid.UUID | None]
    task_run_id: Mapped[uuid.UUID | None]
    asked: Mapped[datetime]
    #: None: it waits.
    taken: Mapped[datetime | None]
    expires: Mapped[datetime] = mapped_column(index=True)

    __table_args__ = (
        CheckConstraint("occupy > 0", name="occupy"),
        Index("ix_slot_lease_limit", "limit_id", "asked", "id"),
        Index("ix_slot_lease_flow_run_id", "flow_run_id", postgresql_where=text("flow_run_id IS NOT NULL")),
        Index("ix_slot_lease_root_run_id", "root_run_id", postgresql_where=text("root_run_id IS NOT NULL")),
    )
