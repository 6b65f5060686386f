"""API keys: who may do what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key


class ApiKey(Base):
    """A key, of which only the sha256 is kept (keys carry 256 random bits, so a slow hash gains nothing)."""

    __tablename__ = "api_key"

    id: Mapped[Key]
    name: Mapped[str]
    role: Mapped[str]
    #: The first characters, by which people tell keys apart.
    prefix: Mapped[str]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[Created]
    expires: Mapped[datetime | None]
    revoked: Mapped[datetime | None]
    last_used: Mapped[datetime | None]

    __table_args__ = (
        UniqueConstraint("hash"),
        CheckConstraint("role IN ('admin', 'editor', 'viewer', 'agent')", name="role"),
    )
