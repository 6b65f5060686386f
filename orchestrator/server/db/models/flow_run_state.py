"""The history of each flow run: one row a change of state."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import STATE_TYPES, Base, JsonOrNone, Key


class FlowRunState(Base):
    """One state that a flow run took."""

    __tablename__ = "flow_run_state"

    id: Mapped[Key]
    flow_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    type: Mapped[str]
    name: Mapped[str]
    message: Mapped[str] = mapped_column(server_default="", default="")
    at: Mapped[datetime]
    #: Facts beside the message: exit code, signal, traceback, reason codes.
    details: Mapped[JsonOrNone]

    __table_args__ = (
        CheckConstraint(f"type IN ({STATE_TYPES})", name="type"),
        Index("ix_flow_run_state_run", "flow_run_id", "id"),
    )
