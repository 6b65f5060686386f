"""States of resources: what each was, from when on."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class ResourceState(Base):
    """From ``since`` on a resource was in ``state``, until its next row. What is told late takes its place in time."""

    __tablename__ = "resource_state"

    resource_id: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    state: Mapped[str]
    #: What told: the name of an event, or a line.
    cause: Mapped[str]
    event_id: Mapped[uuid.UUID | None]
