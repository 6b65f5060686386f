"""Actions: what firings asked for, as it is done."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, JsonOrNone, Key


class Action(Base):
    """One thing to do for a firing: the outbox, and the record of what became of it."""

    __tablename__ = "action"

    id: Mapped[Key]
    firing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("firing.id", ondelete="CASCADE"))
    #: ``fire`` or ``resolve``: what of the firing asked for it; and its place in that list. ``test``: somebody did.
    moment: Mapped[str]
    position: Mapped[int]
    kind: Mapped[str]
    #: The action document, its templates not yet rendered.
    spec: Mapped[Json]
    #: The document with its templates filled in, once it was tried.
    rendered: Mapped[JsonOrNone]
    #: ``waiting`` for its next try, ``running``, ``done``, ``given-up`` (may be done again by hand), ``skipped``.
    state: Mapped[str] = mapped_column(server_default="waiting", default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0", default=0)
    #: When it is tried (again); while it runs: when that has taken too long.
    next_try: Mapped[datetime | None]
    #: What it acts upon, ``type/name`` of a block or a resource id: at most so many at once, and its circuit breaker.
    target: Mapped[str] = mapped_column(server_default="", default="")
    #: The errand that does it, where an agent does.
    errand_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("flow_run.id", ondelete="SET NULL"))
    #: What it led to: a run's id, an answer's status.
    result: Mapped[JsonOrNone]
    #: Why the last try failed; empty when it did not.
    error: Mapped[str] = mapped_column(server_default="", default="")
    created: Mapped[Created]
    ended: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("firing_id", "moment", "position"),
        CheckConstraint("moment IN ('fire', 'resolve', 'test')", name="moment"),
        CheckConstraint("state IN ('waiting', 'running', 'done', 'given-up', 'skipped')", name="state"),
        Index("ix_action_due", "next_try", postgresql_where=text("state IN ('waiting', 'running')")),
        Index("ix_action_state", "state", text("id DESC")),
        Index("ix_action_errand", "errand_id", postgresql_where=text("errand_id IS NOT NULL")),
    )
