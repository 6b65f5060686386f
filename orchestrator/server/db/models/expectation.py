"""Expectations: what should happen by when."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class Expectation(Base):
    """One expectation, free or owned by a deployment."""

    __tablename__ = "expectation"

    id: Mapped[Key]
    name: Mapped[str]
    #: The deployment whose document it stands in; it goes with it.
    deployment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"))
    #: The whole of it, as :mod:`orchestrator.expectations` reads it.
    document: Mapped[Json]
    severity: Mapped[str] = mapped_column(server_default="warning", default="warning")
    owner: Mapped[str] = mapped_column(server_default="", default="")
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: Nothing that happened before counts: set when it is made, switched on, or changed in what it says.
    since: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: Misses until then are noted, but nothing is done.
    muted_until: Mapped[datetime | None]
    #: The slot up to which occurrences are made (None: none yet), and when more are to be made (None: never).
    materialised_to: Mapped[datetime | None]
    refill: Mapped[datetime | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("severity IN ('info', 'warning', 'critical')", name="severity"),
        Index("uq_expectation_name", "name", unique=True, postgresql_where=text("deployment_id IS NULL")),
        Index("uq_expectation_deployment_id_name", "deployment_id", "name", unique=True),
    )
