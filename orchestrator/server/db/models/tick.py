"""When each loop last went round: what readiness is judged by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Tick(Base):
    """The last round of one loop."""

    __tablename__ = "tick"

    loop: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    #: Milliseconds that the round took.
    took_ms: Mapped[float]
    #: host:pid that made it.
    by: Mapped[str]
    #: What went wrong, if it did.
    error: Mapped[str | None]
