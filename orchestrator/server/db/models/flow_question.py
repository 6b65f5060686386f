"""Questions: what flow runs ask of people, and what was answered."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, JsonOrNone, Key

#: States of a question. One that is withdrawn was left behind by an attempt that ended.
PENDING, ANSWERED, TIMED_OUT, WITHDRAWN = "pending", "answered", "timed-out", "withdrawn"


class FlowQuestion(Base):
    """One place of a flow at which it waits for somebody; a run has at most one that is pending."""

    __tablename__ = "flow_question"

    id: Mapped[Key]
    flow_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"))
    #: By which an attempt finds the answer that an earlier one was given.
    key: Mapped[str]
    #: The attempt that asked last.
    attempt: Mapped[int]
    #: JSON schema of the answer, which is an object; None: nothing but to go on is asked for.
    schema: Mapped[JsonOrNone]
    description: Mapped[str] = mapped_column(server_default="", default="")
    has_default: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: The answer where nobody gives one in time; tells nothing unless ``has_default``.
    default: Mapped[JsonOrNone]
    deadline: Mapped[datetime | None]
    state: Mapped[str]
    #: What the flow found wrong with the answer before, by field.
    problems: Mapped[JsonOrNone]
    answer: Mapped[JsonOrNone]
    asked: Mapped[Created]
    answered: Mapped[datetime | None]
    #: As in ``flow_run.created_by``; a server answers with the default.
    answered_by: Mapped[Json]

    __table_args__ = (
        UniqueConstraint("flow_run_id", "key"),
        CheckConstraint("state IN ('pending', 'answered', 'timed-out', 'withdrawn')", name="state"),
        Index("uq_flow_question_pending", "flow_run_id", unique=True, postgresql_where=text("state = 'pending'")),
    )
