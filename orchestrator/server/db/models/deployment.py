"""Deployments: a flow with its code, parameters, queue and schedules, startable by name."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, Created, Json, Key, Tags
from .deployment_resource import DeploymentResource
from .flow import Flow
from .schedule import Schedule
from .trigger import SHORT_FORM, Trigger
from .work_queue import WorkQueue


class Deployment(Base):
    """One deployment, addressed ``flow/deployment``."""

    __tablename__ = "deployment"

    id: Mapped[Key]
    flow_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow.id", ondelete="CASCADE"))
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    version: Mapped[str] = mapped_column(server_default="", default="")
    tags: Mapped[Tags]
    #: ``file.py:function``, relative to the root of the snapshot.
    entrypoint: Mapped[str]
    storage_block_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("block.id", ondelete="RESTRICT"), index=True)
    #: Folder below the storage block's own root.
    storage_path: Mapped[str] = mapped_column(server_default="", default="")
    #: sha256 of the sorted manifest of (path, mode, content hash); None when the code is not a snapshot.
    snapshot: Mapped[str | None]
    infrastructure_block_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("block.id", ondelete="RESTRICT"), index=True
    )
    infrastructure_overrides: Mapped[Json]
    #: Where results go that are too large to be kept with the run; None: where the setting of the agent says.
    results_block_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("block.id", ondelete="RESTRICT"), index=True)
    results_path: Mapped[str] = mapped_column(server_default="", default="")
    work_queue_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("work_queue.id", ondelete="RESTRICT"))
    #: How often a run that CRASHED is queued again.
    crash_retries: Mapped[int] = mapped_column(server_default="0", default=0)
    #: Most of its runs that processes may be busy with at once; None: no limit.
    concurrency_limit: Mapped[int | None]
    #: What becomes of a run that is due while the limit is reached: ``enqueue`` or ``cancel-new``.
    collision: Mapped[str] = mapped_column(server_default="enqueue", default="enqueue")
    #: Only agents that have all of these labels take its runs.
    labels: Mapped[Tags]
    parameters: Mapped[Json]
    #: JSON schema of the flow's parameters, as the flow's signature gives it.
    parameter_schema: Mapped[Json]
    paused: Mapped[bool] = mapped_column(server_default=text("false"), default=False)
    #: Why no run of it can be started, until it is applied again: a block that it needs was deleted. None: it is ready.
    not_ready: Mapped[str | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    flow: Mapped[Flow] = relationship(lazy="joined")
    work_queue: Mapped[WorkQueue] = relationship(lazy="joined")
    schedules: Mapped[list[Schedule]] = relationship(
        lazy="selectin", order_by=Schedule.slug, passive_deletes=True, cascade="all, delete-orphan"
    )
    #: The triggers that stand for ``notifications`` in its document.
    notifications: Mapped[list[Trigger]] = relationship(
        primaryjoin=lambda: (Deployment.id == Trigger.deployment_id) & Trigger.name.startswith(SHORT_FORM),
        order_by=Trigger.name,
        viewonly=True,
    )
    declared: Mapped[list[DeploymentResource]] = relationship(
        lazy="select", order_by=DeploymentResource.position, passive_deletes=True, cascade="all, delete-orphan"
    )

    __table_args__ = (
        UniqueConstraint("flow_id", "name"),
        CheckConstraint("concurrency_limit >= 0", name="limit_not_negative"),
        CheckConstraint("collision IN ('enqueue', 'cancel-new')", name="collision"),
        Index("ix_deployment_limited", "id", postgresql_where=text("concurrency_limit IS NOT NULL")),
    )
