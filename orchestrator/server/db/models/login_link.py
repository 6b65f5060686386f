"""One-time links that log a browser in."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class LoginLink(Base):
    """A link that opens one dashboard session on behalf of an API key, once."""

    __tablename__ = "login_link"

    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    expires: Mapped[datetime]
