"""Events, one partition a day (bounds are UUIDv7 values of midnight UTC)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from .base import Base, Json, Key


class Xid8(UserDefinedType[int]):
    """Postgres's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class Event(Base):
    """One thing that happened."""

    __tablename__ = "event"

    #: UUIDv7 of the event's time: the primary key dedupes across all partitions.
    id: Mapped[Key]
    event: Mapped[str]
    occurred: Mapped[datetime]
    received: Mapped[datetime] = mapped_column(server_default=text("now()"))
    resource_id: Mapped[str]
    resource: Mapped[Json]
    related: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    payload: Mapped[Json]
    follows: Mapped[uuid.UUID | None]
    #: Transaction that wrote it; the commit-safe cursor reads along (xid, id).
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))

    __table_args__ = (
        Index("ix_event_resource", "resource_id", "id"),
        Index("ix_event_name", "event", "id"),
        Index("ix_event_cursor", "xid", "id"),
        {"postgresql_partition_by": "RANGE (id)"},
    )
