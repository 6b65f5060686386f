"""Desks: what the holder of a key watches."""

from __future__ import annotations

import uuid

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class DeskItem(Base):
    """One thing on one desk: a resource, a deployment or an expectation."""

    __tablename__ = "desk_item"

    id: Mapped[Key]
    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    #: By its own id: it need not be known yet, and may vanish and come back.
    resource_id: Mapped[str | None]
    deployment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"), index=True)
    expectation_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("expectation.id", ondelete="CASCADE"), index=True
    )
    #: What tells its holder; None: nothing does.
    trigger_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("trigger.id", ondelete="SET NULL"), index=True)
    created: Mapped[Created]

    __table_args__ = (
        UniqueConstraint("api_key_id", "resource_id"),
        UniqueConstraint("api_key_id", "deployment_id"),
        UniqueConstraint("api_key_id", "expectation_id"),
        CheckConstraint("num_nonnulls(resource_id, deployment_id, expectation_id) = 1", name="one_thing"),
    )
