"""Occurrences of expectations: each time that something is expected, and what became of it."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Key


class ExpectationOccurrence(Base):
    """One time that something is expected of one key. Made ahead, so that what never happens has a row as well."""

    __tablename__ = "expectation_occurrence"

    id: Mapped[Key]
    expectation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("expectation.id", ondelete="CASCADE"))
    #: The value of the expectation's ``for_each``, or a run's id; empty without.
    key: Mapped[str] = mapped_column(server_default="", default="")
    #: The window: the instant of the schedule, or of the streak's or run's beginning.
    slot: Mapped[datetime]
    opens: Mapped[datetime]
    due: Mapped[datetime]
    #: ``due`` with the grace.
    deadline: Mapped[datetime]
    #: From here on nothing is late any more; None: it always is.
    closes: Mapped[datetime | None]
    status: Mapped[str] = mapped_column(server_default="due", default="due")
    #: What counted: ``[time, id of the event or run]`` each.
    hits: Mapped[list[list[str]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    #: When enough had happened; None while it has not.
    satisfied: Mapped[datetime | None]
    #: When the deadline was judged to have passed without it, and whether that was long after.
    judged: Mapped[datetime | None]
    judged_late: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        UniqueConstraint("expectation_id", "key", "slot"),
        CheckConstraint("status IN ('due', 'met', 'late', 'missed')", name="status"),
        Index("ix_expectation_occurrence_deadline", "deadline", postgresql_where=text("status = 'due'")),
        Index("ix_expectation_occurrence_due", "due"),
        Index("ix_expectation_occurrence_expectation", "expectation_id", text("due DESC"), text("id DESC")),
    )
