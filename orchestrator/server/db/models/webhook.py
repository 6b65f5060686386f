"""Webhooks: addresses at which other systems tell what happened, each with the template that makes events of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, JsonOrNone, Key


class Webhook(Base):
    """One webhook. Its address is a secret, of which the hash alone is kept."""

    __tablename__ = "webhook"

    id: Mapped[Key]
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: Whether deliveries are taken; those to one that is switched off find nothing there.
    active: Mapped[bool] = mapped_column(server_default=text("true"), default=True)
    #: SHA-256 of the token in the address, and its last characters, by which people tell addresses apart.
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    token_end: Mapped[str]
    rotated: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: What it was made from; some presets check and answer in ways of their own.
    preset: Mapped[str] = mapped_column(server_default="generic", default="generic")
    #: Jinja: a delivery in, one event or a list of them out, as JSON.
    template: Mapped[str]
    #: How deliveries are signed: ``{"scheme", "header", "prefix"}``; None: they are not.
    signature: Mapped[JsonOrNone]
    #: The secret that they are signed with, encrypted, and the key that it is encrypted with.
    secret: Mapped[bytes | None]
    secret_key: Mapped[str | None]
    #: Most deliveries that are taken in a minute, and when it was last told that there were more.
    minute_max: Mapped[int] = mapped_column(server_default="600", default=600)
    limited: Mapped[datetime | None]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("minute_max > 0", name="minute_max"),)
