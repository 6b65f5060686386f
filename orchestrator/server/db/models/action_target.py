"""What actions act upon, while it fails: their circuit breakers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class ActionTarget(Base):
    """A target that failed when it was last acted upon; there is no row for one that works."""

    __tablename__ = "action_target"

    #: As :attr:`Action.target`.
    target: Mapped[str] = mapped_column(primary_key=True)
    #: How often in a row.
    failures: Mapped[int] = mapped_column(server_default="0", default=0)
    #: It is left alone until then; None while it is tried as ever.
    open_until: Mapped[datetime | None]
    error: Mapped[str] = mapped_column(server_default="", default="")
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))
