"""Calendars: which days count for expectations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Created, Key, Tags


class CalendarDays(Base):
    """One calendar, addressed by its name."""

    __tablename__ = "calendar"

    id: Mapped[Key]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="", default="")
    #: Weekdays that count: ``mon`` ... ``sun``.
    weekdays: Mapped[Tags]
    #: Dates, ``YYYY-MM-DD`` or ``MM-DD`` for each year: those that do not count, and those that do all the same.
    holidays: Mapped[Tags]
    extra: Mapped[Tags]
    created: Mapped[Created]
    updated: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (UniqueConstraint("name"),)
