"""Events, one partition a day (bounds are UUIDv7 values of midnight UTC)."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from .base import Base, Json, Key


class Xid8(UserDefinedType[int]):
    """Postgres's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


#: What kind of thing happened: somebody changed something; something worked; it is alive; it is related to others.
KINDS = ("action", "operation", "heartbeat", "relationship")
#: Who wrote an event: the server itself; a run or process by the SDK; somebody by REST; what came in by a webhook, as
#: lineage, or by looking at a block; an action of a trigger.
SOURCES = ("tower", "run", "key", "webhook", "lineage", "block", "trigger")


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
    #: The defaults serve the statements that write what runs go through (:mod:`...services.statements`).
    kind: Mapped[str] = mapped_column(server_default="operation", default="operation")
    source: Mapped[str] = mapped_column(server_default="tower", default="tower")
    #: What the event says of how resources are related: ``{source, target, role}`` each.
    relations: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    #: Transaction that wrote it; the commit-safe cursor reads along (xid, id).
    xid: Mapped[int] = mapped_column(Xid8, server_default=text("pg_current_xact_id()"))

    __table_args__ = (
        Index("ix_event_resource", "resource_id", "id"),
        Index("ix_event_name", "event", "id"),
        Index("ix_event_cursor", "xid", "id"),
        # Few of all events, asked for by themselves: the audit trail, and what is kept for a shorter time.
        Index("ix_event_action", "id", postgresql_where=text("kind = 'action'")),
        Index("ix_event_heartbeat", "id", postgresql_where=text("kind = 'heartbeat'")),
        CheckConstraint(f"kind IN {KINDS}", name="kind"),
        CheckConstraint(f"source IN {SOURCES}", name="source"),
        {"postgresql_partition_by": "RANGE (id)"},
    )
