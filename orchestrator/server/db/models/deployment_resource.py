"""What deployments declare to read and write."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class DeploymentResource(Base):
    """A deployment says in its document that its runs read or write a resource."""

    __tablename__ = "deployment_resource"

    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True)
    #: ``reads`` or ``writes``.
    role: Mapped[str] = mapped_column(primary_key=True)
    resource_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    #: Its place in the document.
    position: Mapped[int]
