"""How far each reader of events has come."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base
from .event import Xid8


class EventCursor(Base):
    """One reader: it has read all events up to (``xid``, ``event_id``), in that order."""

    __tablename__ = "event_cursor"

    reader: Mapped[str] = mapped_column(primary_key=True)
    #: ``system_identifier`` of the cluster that ``xid`` belongs to; in another one it means nothing.
    cluster: Mapped[int] = mapped_column(BigInteger)
    xid: Mapped[int] = mapped_column(Xid8)
    event_id: Mapped[uuid.UUID]
    #: When it last read: where it begins again by id in another cluster.
    at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: Events with lower ids were read in another cluster.
    floor: Mapped[uuid.UUID]
