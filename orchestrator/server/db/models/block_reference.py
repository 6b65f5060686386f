"""Which block holds which: kept apart so that use can be asked backwards and deletion refused."""

from __future__ import annotations

import uuid

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class BlockReference(Base):
    """The field ``field`` of block ``block_id`` holds block ``target_id``."""

    __tablename__ = "block_reference"

    block_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block.id", ondelete="CASCADE"), primary_key=True)
    field: Mapped[str] = mapped_column(primary_key=True)
    target_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block.id", ondelete="RESTRICT"), index=True)
