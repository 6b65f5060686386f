"""Triggers: what to wait for among events, and what to do then."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key

#: Begins the names of triggers that stand for a deployment's ``notifications``.
SHORT_FORM = "notify "


class Trigger(Base):
    """One trigger, free, or owned by a deployment or a chain."""

    __tablename__ = "trigger"

    id: Mapped[Key]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: The deployment whose document it stands in; it goes with it.
    deployment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"))
    #: The chain that it stands for a step of, with the version and the step; it goes with the chain.
    of_chain_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("chain.id", ondelete="CASCADE"))
    of_chain_version: Mapped[int | None]
    of_chain_step: Mapped[str | None]
    #: What it waits for, as :mod:`orchestrator.triggers` reads it.
    condition: Mapped[Json]
    #: What is done when it fires, and when what it fired for is over: lists of action documents.
    actions: Mapped[list[Json]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    resolve_actions: Mapped[list[Json]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)
    severity: Mapped[str] = mapped_column(server_default="warning", default="warning")
    owner: Mapped[str] = mapped_column(server_default="", default="")
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: Since when it listens: set when it is made, switched on, or its condition is changed.
    since: Mapped[datetime] = mapped_column(server_default=text("now()"))
    muted_until: Mapped[datetime | None]
    #: Seconds after a firing in which the same key does not fire again.
    debounce_s: Mapped[float] = mapped_column(server_default="0", default=0)
    #: Most firings within an hour; what is beyond is suppressed.
    hourly_max: Mapped[int] = mapped_column(server_default="1000", default=1000)
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        Index("uq_trigger_name", "name", unique=True, postgresql_where=text("deployment_id IS NULL")),
        Index("uq_trigger_deployment_id_name", "deployment_id", "name", unique=True),
        Index(
            "uq_trigger_of_chain",
            "of_chain_id",
            "of_chain_version",
            "of_chain_step",
            unique=True,
            postgresql_where=text("of_chain_id IS NOT NULL"),
        ),
    )
