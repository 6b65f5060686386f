"""Block types: the kinds of block the server was told of."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key, Tags


class BlockType(Base):
    """A kind of block, known by its slug."""

    __tablename__ = "block_type"

    id: Mapped[Key]
    slug: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: Address of a picture, or the picture itself as a data URL.
    logo: Mapped[str] = mapped_column(server_default="", default="")
    docs_url: Mapped[str] = mapped_column(server_default="", default="")
    code_example: Mapped[str] = mapped_column(server_default="", default="")
    #: Why the kind could not be tested, where that is so.
    untested: Mapped[str] = mapped_column(server_default="", default="")
    #: Why the kind, which an installed package brings, cannot be used on the server's computer; empty: it can.
    broken: Mapped[str] = mapped_column(server_default="", default="")
    #: ``package.module:Class``, to tell which import brings an unknown type.
    import_path: Mapped[str]
    #: Names of the interfaces it implements, such as ``file-system``.
    interfaces: Mapped[Tags]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (UniqueConstraint("slug"),)
