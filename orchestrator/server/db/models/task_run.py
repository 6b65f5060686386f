"""Task runs: one row a run of a task inside a flow run, holding its present state."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .base import STATE_TYPES, Base, Created, JsonOrNone, Key, Tags


class TaskRun(Base):
    """One run of a task; its id is given by the process that runs it."""

    __tablename__ = "task_run"

    id: Mapped[Key]
    flow_run_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"))
    name: Mapped[str]
    #: Qualified name of the task's function.
    task_key: Mapped[str]
    #: The flow run's attempt in which it ran.
    flow_attempt: Mapped[int] = mapped_column(server_default="0", default=0)
    #: How often the task's function was entered.
    attempt: Mapped[int] = mapped_column(server_default="0", default=0)
    state_type: Mapped[str]
    state_name: Mapped[str]
    state_message: Mapped[str] = mapped_column(server_default="", default="")
    state_at: Mapped[datetime]
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]
    tags: Mapped[Tags]
    #: Ids of the task runs whose results or completion this one waited for.
    upstream: Mapped[list[str]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    #: The task run that called this one, when a task calls a task.
    parent_id: Mapped[uuid.UUID | None]
    created: Mapped[Created]
    #: Inline result ``{"value": ...}`` or reference ``{"block": ..., "path": ...}``, ``{"file": ...}``.
    result: Mapped[JsonOrNone]
    #: What later attempts of the flow run know the call by; None: they run it again.
    call_key: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(f"state_type IN ({STATE_TYPES})", name="state_type"),
        Index("ix_task_run_flow_run", "flow_run_id", "id"),
        Index("ix_task_run_state", "state_type", text("id DESC")),
    )
