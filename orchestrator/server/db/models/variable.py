"""Variables: plain values that flows and deployments read by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, JsonOrNone, Key, Tags


class Variable(Base):
    """One variable. It is no secret: whoever may look sees its value."""

    __tablename__ = "variable"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    #: Any JSON value; None is SQL's NULL.
    value: Mapped[JsonOrNone]
    tags: Mapped[Tags]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))
