"""A moment by name: where a load begins, when a contract ends."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from pydantic import AwareDatetime, Field

from orchestrator.block import Block


class DateTime(Block):
    """A moment, with its time zone."""

    _name: ClassVar[str] = "DateTime"
    _slug: ClassVar[str] = "date-time"
    _logo: ClassVar[str] = "tabler:calendar-time"
    _docs_url: ClassVar[str] = "https://www.rfc-editor.org/rfc/rfc3339"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.date_time import DateTime

        DateTime(value="2026-01-01T00:00:00Z").save("first-day")
        DateTime.load("first-day").get()
        """

    value: AwareDatetime = Field(description="The moment, with its offset: 2026-01-01T00:00:00Z, or ...+02:00.")

    def get(self) -> datetime:
        """The moment, aware of its time zone."""
        return self.value
