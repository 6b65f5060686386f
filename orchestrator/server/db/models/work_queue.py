"""Work queues: where runs wait for agents."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class WorkQueue(Base):
    """A named queue; made on first use by a deployment or an agent."""

    __tablename__ = "work_queue"

    id: Mapped[Key]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    paused: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: Most runs that may be PENDING, RUNNING or CANCELLING at once; None: no limit.
    concurrency_limit: Mapped[int | None]
    #: Seconds of waiting by which a run's priority rises by one; None: it does not rise.
    ageing_s: Mapped[int | None]
    #: Whose runs take turns: ``deployment``, ``flow``, or ``tag:PREFIX``; None: nobody's.
    share_by: Mapped[str | None]
    #: Since when it is drained: it hands out what it had by then, and nothing else.
    draining: Mapped[datetime | None]
    created: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("name"),
        CheckConstraint("concurrency_limit >= 0", name="limit_not_negative"),
        CheckConstraint("ageing_s > 0", name="ageing_positive"),
    )
