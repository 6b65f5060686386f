"""Firings: each time that a trigger or an expectation called for something."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json, Key


class Firing(Base):
    """One firing: ``open`` until what it was for is over, then ``resolved``; or ``suppressed``, with the reason.

    One that nothing caused is of a message that somebody sends for a test. ``occasion`` names the event or the window
    that it is for: there is one firing for each, whoever evaluates it.
    """

    __tablename__ = "firing"

    id: Mapped[Key]
    trigger_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("trigger.id", ondelete="CASCADE"))
    expectation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("expectation.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(server_default="[]", default="[]")
    occasion: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open", default="open")
    #: Why nothing is done: ``muted``, ``debounced``, ``rate``, ``depth``; empty where something is.
    suppressed: Mapped[str] = mapped_column(server_default="", default="")
    #: The how-manieth of its trigger that something was done for: two of them say how many lie between. None: nothing
    #: was, or an expectation's.
    number: Mapped[int | None] = mapped_column(BigInteger)
    #: When the server noted it, and the instant that it is about (an event's time, a deadline).
    fired: Mapped[datetime] = mapped_column(server_default=text("now()"))
    occurred: Mapped[datetime]
    #: The event that made it fire; None for an absence.
    event_id: Mapped[uuid.UUID | None]
    #: One line: why it fired.
    reason: Mapped[str] = mapped_column(server_default="", default="")
    #: What templates of its actions see: ``event``, ``labels``, ``window`` ...
    context: Mapped[Json]
    #: What follows from one cause has one chain; ``depth`` counts the firings before this one in it.
    chain_id: Mapped[uuid.UUID]
    depth: Mapped[int] = mapped_column(server_default="0", default=0)
    resolved: Mapped[datetime | None]
    acknowledged: Mapped[datetime | None]
    acknowledged_by: Mapped[str] = mapped_column(server_default="", default="")

    __table_args__ = (
        UniqueConstraint("trigger_id", "occasion"),
        UniqueConstraint("expectation_id", "occasion"),
        CheckConstraint("num_nonnulls(trigger_id, expectation_id) <= 1", name="one_cause"),
        CheckConstraint("state IN ('open', 'resolved', 'suppressed')", name="state"),
        Index("ix_firing_trigger", "trigger_id", text("id DESC")),
        Index("ix_firing_open", "trigger_id", "key", postgresql_where=text("state = 'open'")),
        Index("ix_firing_chain", "chain_id"),
        Index("ix_firing_number", "trigger_id", "id", postgresql_where=text("number IS NOT NULL")),
        Index("ix_firing_rate", "trigger_id", "id", postgresql_where=text("suppressed = 'rate'")),
        Index("ix_firing_event", "event_id", postgresql_where=text("event_id IS NOT NULL")),
    )
