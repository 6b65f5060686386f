"""Artifacts: what runs show to people."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, JsonOrNone, Key


class Artifact(Base):
    """One artifact; those of one key form a history."""

    __tablename__ = "artifact"

    id: Mapped[Key]
    key: Mapped[str | None]
    type: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: markdown: text; table: list of objects; link: ``{"url": ..., "text": ...}``; progress: 0 to 100; image:
    #: ``{"url": ...}``.
    data: Mapped[JsonOrNone]
    flow_run_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("flow_run.id", ondelete="CASCADE"))
    task_run_id: Mapped[uuid.UUID | None]
    created: Mapped[Created]
    #: When it was told anew; None: never.
    updated: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("type IN ('markdown', 'table', 'link', 'progress', 'image')", name="type"),
        Index("ix_artifact_key", "key", text("id DESC")),
        Index("ix_artifact_flow_run", "flow_run_id", "id"),
    )
