"""Holds: nothing that touches a resource starts, or little, or later."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json, JsonOrNone, Key


class Hold(Base):
    """One hold, in force until it is released."""

    __tablename__ = "hold"

    id: Mapped[Key]
    #: Labels of the resources that are held, as triggers match them.
    match: Mapped[Json]
    #: ``stop``: no run starts; ``limit``: at most ``slots`` go on at once; ``delay``: each starts ``delay_s`` later.
    kind: Mapped[str]
    slots: Mapped[int | None]
    delay_s: Mapped[float | None]
    reason: Mapped[str]
    #: Released by then.
    until: Mapped[datetime | None]
    #: Released by an event: ``{"event": pattern, "match": labels}``.
    until_event: Mapped[JsonOrNone]
    placed: Mapped[datetime] = mapped_column(server_default=text("now()"))
    placed_by: Mapped[Json]
    #: The firing whose action placed it.
    firing_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("firing.id", ondelete="SET NULL"))
    released: Mapped[datetime | None]
    released_by: Mapped[JsonOrNone]
    #: Why it was released; empty while it is in force.
    release_reason: Mapped[str] = mapped_column(server_default="", default="")

    __table_args__ = (
        CheckConstraint("kind IN ('stop', 'limit', 'delay')", name="kind"),
        CheckConstraint("(kind = 'limit') = (slots IS NOT NULL)", name="slots"),
        CheckConstraint("(kind = 'delay') = (delay_s IS NOT NULL)", name="delay"),
        Index("ix_hold_in_force", "id", postgresql_where=text("released IS NULL")),
        Index("ix_hold_firing", "firing_id", postgresql_where=text("firing_id IS NOT NULL")),
    )
