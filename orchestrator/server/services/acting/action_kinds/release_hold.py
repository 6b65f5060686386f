"""``release-hold``: let go of what is held."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .. import holds
from ..action_kind import Asked, Field, Kind, Nothing


class ReleaseHold(Kind):
    """Releases holds."""

    name = "release-hold"
    title = "Release a resource"
    description = (
        "Release the holds that this trigger placed on a resource; without a resource, all that this firing placed."
    )
    fields = (
        Field("resource", "text", "The resource, as place-hold has it.", pattern=True),
        Field("reason", "text", "Why; it is kept with the hold."),
    )

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Release them."""
        resource = asked.values.get("resource")
        found = holds.placed_by(session, asked.firing_id, asked.trigger_id if resource else None, resource)
        if not found:
            raise Nothing("nothing that it placed is in force")
        reason = asked.values.get("reason", "a trigger asked for it")
        for hold_id in found:
            holds.release(session, hold_id, asked.actor, now, reason)
        return {"hold_ids": [str(hold_id) for hold_id in found]}


KIND = ReleaseHold()
