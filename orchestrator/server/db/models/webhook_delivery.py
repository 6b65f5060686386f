"""Deliveries to webhooks: what came, and what became of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Json, Key


class WebhookDelivery(Base):
    """One delivery, kept for some days so that a template can be tried on it."""

    __tablename__ = "webhook_delivery"

    id: Mapped[Key]
    webhook_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    received: Mapped[datetime]
    method: Mapped[str]
    content_type: Mapped[str] = mapped_column(server_default="", default="")
    #: Names in lower case; those that carry secrets are left out, in the query as well.
    headers: Mapped[Json]
    query: Mapped[Json]
    body: Mapped[bytes]
    #: Bytes of the body.
    size: Mapped[int]
    #: ``accepted`` (events were written), ``ignored`` (the template made none), ``confirmed`` (a subscription),
    #: ``failed`` (no events could be made of it), ``refused`` (its signature is wrong).
    outcome: Mapped[str]
    #: HTTP status of the answer.
    status: Mapped[int]
    reason: Mapped[str] = mapped_column(server_default="", default="")
    #: Ids of the events that it led to.
    events: Mapped[list[Any]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"), default=list)

    __table_args__ = (
        CheckConstraint("outcome IN ('accepted', 'ignored', 'confirmed', 'failed', 'refused')", name="outcome"),
        Index("ix_webhook_delivery_webhook_id_id", "webhook_id", text("id DESC")),
        Index("ix_webhook_delivery_received", "received"),
    )
