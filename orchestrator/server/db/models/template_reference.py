"""Blocks that deployments name in templates, such as ``{{ blocks.secret.api-key }}``."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class TemplateReference(Base):
    """The field ``field`` of a deployment names a block in a template."""

    __tablename__ = "template_reference"

    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True)
    #: Such as ``parameters.token``.
    field: Mapped[str] = mapped_column(primary_key=True)
    block_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("block.id", ondelete="RESTRICT"), primary_key=True, index=True
    )
