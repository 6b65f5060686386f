"""Which deployments each hold in force holds."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class DeploymentHold(Base):
    """A deployment touches what is held. Kept up to date by the loop of holds, gone with the hold's release."""

    __tablename__ = "deployment_hold"

    deployment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("deployment.id", ondelete="CASCADE"), primary_key=True)
    hold_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("hold.id", ondelete="CASCADE"), primary_key=True, index=True)
