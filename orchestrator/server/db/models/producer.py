"""Producers of reports: how far each was heard."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Producer(Base):
    """One reporting process (or attempt); items up to ``sequence`` are stored, so a repeated batch changes nothing."""

    __tablename__ = "producer"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"), index=True)
