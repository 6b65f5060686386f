"""Results that calls of tasks share across runs, and who computes one now."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json


class CachedResult(Base):
    """One result, found by the key of its calls."""

    __tablename__ = "cached_result"

    #: Hash of the key.
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    #: The key as people see it.
    key: Mapped[str]
    task_key: Mapped[str]
    #: As a task run keeps it.
    result: Mapped[Json] = mapped_column(server_default=None)
    #: Who computed it; they may be gone.
    flow_run_id: Mapped[uuid.UUID | None]
    task_run_id: Mapped[uuid.UUID | None]
    #: When it is used no longer.
    expires: Mapped[datetime | None]
    created: Mapped[Created]

    __table_args__ = (
        Index("ix_cached_result_created", "created"),
        Index("ix_cached_result_expires", "expires", postgresql_where=text("expires IS NOT NULL")),
    )


class CacheLock(Base):
    """A lease: somebody computes the result of a key, and others wait for it."""

    __tablename__ = "cache_lock"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    holder: Mapped[uuid.UUID]
    until: Mapped[datetime]
