"""Chains of deployments, their versions, and what was run of them."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Json, Key


class Chain(Base):
    """One chain; its document is that of its newest version."""

    __tablename__ = "chain"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    #: The newest one; the first is 1.
    version: Mapped[int]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))


class ChainVersion(Base):
    """A document of a chain, never changed."""

    __tablename__ = "chain_version"

    chain_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("chain.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[Json]
    created: Mapped[Created]
    created_by: Mapped[Json]


class ChainRun(Base):
    """One run of a chain; its id is the ``chain_id`` of the flow runs of its steps, and of what follows from them."""

    __tablename__ = "chain_run"

    id: Mapped[Key]
    chain_id: Mapped[uuid.UUID]
    #: That it began with, and keeps.
    version: Mapped[int]
    #: Laid over those of its first steps.
    parameters: Mapped[Json]
    #: Firings that led to it: its own triggers do not count, since no chain goes in a circle.
    depth: Mapped[int] = mapped_column(server_default="0", default=0)
    started: Mapped[Created]
    started_by: Mapped[Json]

    __table_args__ = (
        ForeignKeyConstraint(
            ["chain_id", "version"], ["chain_version.chain_id", "chain_version.version"], ondelete="CASCADE"
        ),
        Index("ix_chain_run_chain", "chain_id", text("id DESC")),
    )
