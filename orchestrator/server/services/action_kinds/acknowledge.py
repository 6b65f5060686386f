"""``acknowledge``: note that the firing is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...db.models import Firing
from ..action_kind import Asked, Kind, Nothing
from ..announcements import announce, resource


class Acknowledge(Kind):
    """Acknowledges the firing that asked for it, after the actions before it in the list."""

    name = "acknowledge"
    title = "Acknowledge"
    description = "Note that the firing is known, so that nobody has to."

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Acknowledge it, unless somebody has."""
        firing = session.get_one(Firing, asked.firing_id)
        if firing.acknowledged is not None:
            raise Nothing("it is acknowledged already")
        firing.acknowledged, firing.acknowledged_by = now, asked.actor.name
        session.flush()
        if asked.trigger_id is not None:
            about = resource("trigger", asked.trigger_id, asked.actor.name)
            announce(session, "trigger.acknowledged", about, asked.actor, now, [asked.chain()], firing=str(firing.id))
        return {}


KIND = Acknowledge()
