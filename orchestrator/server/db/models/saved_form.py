"""Saved forms: parameters of a deployment, kept under a name."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class SavedForm(Base):
    """Parameters that people start runs of a deployment with; everyone who may start one may use it."""

    __tablename__ = "saved_form"

    id: Mapped[Key]
    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"))
    name: Mapped[str]
    #: Laid over the deployment's own.
    parameters: Mapped[Json]
    created: Mapped[Created]

    __table_args__ = (UniqueConstraint("deployment_id", "name"),)
