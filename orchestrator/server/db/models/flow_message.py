"""Messages that were sent to flow runs."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, JsonOrNone


class FlowMessage(Base):
    """One message; it is kept as long as its run is."""

    __tablename__ = "flow_message"

    flow_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"), primary_key=True)
    #: Counted from 1, without gaps: the order in which they are received.
    position: Mapped[int] = mapped_column(primary_key=True)
    #: By which receivers choose.
    key_prefix: Mapped[str]
    value: Mapped[JsonOrNone]
    #: Whom an answer goes to: ``orchestrator.flow-run.<id>``, or what the sender calls itself.
    sender: Mapped[str | None]
    created: Mapped[Created]
    #: As in ``flow_run.created_by``.
    created_by: Mapped[Json]

    __table_args__ = (Index("ix_flow_message_prefix", "flow_run_id", "key_prefix", "position"),)
