"""Leases of limits, each bound to one attempt of a run."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class LimitLease(Base):
    """One slot, taken by an attempt of a run. It counts while that attempt is live, and is swept later."""

    __tablename__ = "limit_lease"

    limit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("resource_limit.id", ondelete="CASCADE"), primary_key=True)
    flow_run_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("flow_run.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    attempt: Mapped[int] = mapped_column(primary_key=True)
    taken: Mapped[datetime]
