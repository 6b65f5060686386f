"""``acknowledge``: note that the firing is known."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....db.models import Firing
from ...reacting import firings
from ..action_kind import Asked, Kind, Nothing


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
        firings.acknowledge(session, firing.id, asked.actor, now)
        return {}


KIND = Acknowledge()
