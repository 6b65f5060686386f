"""Block documents: the named (or anonymous) values of a block type."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, Created, Json, Key
from .block_schema import BlockSchema
from .block_type import BlockType


class Block(Base):
    """One document. Plain values lie in ``data``, secret ones encrypted in ``secrets``; a field that holds another
    block holds ``{"$block": "<id>"}``.
    """

    __tablename__ = "block"

    id: Mapped[Key]
    block_type_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block_type.id", ondelete="RESTRICT"))
    block_schema_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("block_schema.id", ondelete="RESTRICT"))
    #: None: anonymous, owned by what refers to it.
    name: Mapped[str | None]
    data: Mapped[Json]
    #: Fernet token of a JSON object ``{field path: value}``; None when the block has no secret.
    secrets: Mapped[bytes | None]
    #: Which secret key encrypted them; None: it was written before that was noted.
    secrets_key: Mapped[str | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    block_type: Mapped[BlockType] = relationship(lazy="joined")
    block_schema: Mapped[BlockSchema] = relationship(lazy="joined")

    __table_args__ = (UniqueConstraint("block_type_id", "name"),)
