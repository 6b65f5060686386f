"""Log lines of runs, one partition a day (bounds are UUIDv7 values of midnight UTC)."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Key


class Log(Base):
    """One line. The server gives the id, so rows lie in the order in which they were accepted."""

    __tablename__ = "log"

    id: Mapped[Key]
    flow_run_id: Mapped[uuid.UUID]
    task_run_id: Mapped[uuid.UUID | None]
    attempt: Mapped[int] = mapped_column(SmallInteger)
    #: Python's numbers: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    level: Mapped[int] = mapped_column(SmallInteger)
    #: Name of the logger; ``stdout`` and ``stderr`` for captured output.
    logger: Mapped[str]
    message: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (
        Index("ix_log_flow_run", "flow_run_id", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )
