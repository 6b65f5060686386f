"""Flows: the functions that were ever seen."""

from __future__ import annotations

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped

from .base import Base, Created, Key, Tags


class Flow(Base):
    """A flow, known by its name alone."""

    __tablename__ = "flow"

    id: Mapped[Key]
    name: Mapped[str]
    tags: Mapped[Tags]
    created: Mapped[Created]

    __table_args__ = (UniqueConstraint("name"),)
