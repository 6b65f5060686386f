"""Who loaded which block, counted by day."""

from __future__ import annotations

import uuid
from datetime import date, datetime

from sqlalchemy import ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class BlockLoad(Base):
    """The loads of one block on one day (UTC) by one loader: the runs of a deployment or flow together, or one key."""

    __tablename__ = "block_load"

    block_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True, index=True)
    #: ``run``, ``agent``, ``api-key`` or ``server``, as of :class:`orchestrator.documents.records.Actor`.
    kind: Mapped[str] = mapped_column(primary_key=True)
    #: What one row counts: id of the deployment, else of the flow, for runs; the actor's id or name for others.
    loader: Mapped[str] = mapped_column(primary_key=True)
    #: Name of the actor that was the last one.
    name: Mapped[str] = mapped_column(server_default="", default="")
    flow: Mapped[str | None]
    deployment: Mapped[str | None]
    count: Mapped[int] = mapped_column(server_default=text("1"), default=1)
    last: Mapped[datetime]
