"""``set-limit``: let more or fewer runs hold a block, or go on in a queue, at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....errors import InvalidInput
from ...configuring import limits
from ...running import work_queues
from .. import action_targets
from ..action_kind import Asked, Field, Kind


class SetLimit(Kind):
    """Sets the slots of a limit, or how many runs of a work queue go on at once."""

    name = "set-limit"
    title = "Set a limit"
    description = "Set how many runs may hold a block, or go on in a work queue, at once."
    fields = (
        Field("limit", "limit", "Name of a limit, such as block/sql-database/warehouse."),
        Field("work_queue", "work-queue", "Name of a work queue."),
        Field("slots", "number", "How many at once.", required=True),
    )
    one_of = (("limit", "work_queue"),)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Set it; runs that go on are left alone."""
        values, slots = asked.values, asked.values["slots"]
        if slots < 0 or (slots < 1 and "limit" in values):
            raise InvalidInput(f"slots: {slots} is too few", {"slots": ["Is too few."]})
        if "limit" in values:
            identifier = action_targets.find(session, "limit", values["limit"])
            limits.set_slots(session, identifier, slots, asked.actor, now)
            return {"limit_id": str(identifier)}
        queue = action_targets.find(session, "work-queue", values["work_queue"])
        work_queues.change(session, queue, {"concurrency_limit": slots}, asked.actor, now)
        return {"work_queue_id": str(queue)}


KIND = SetLimit()
