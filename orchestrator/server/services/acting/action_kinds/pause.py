"""``pause``: stop a deployment, schedule, work queue or trigger."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .. import action_switches
from ..action_kind import Asked, Kind


class Pause(Kind):
    """Stops what it names: schedules start no run, queues give none, triggers hear nothing."""

    name = "pause"
    title = "Pause"
    description = "Stop a deployment, schedule, work queue or trigger."
    fields = action_switches.FIELDS
    one_of = (action_switches.NAMES,)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Switch it; twice changes nothing."""
        return action_switches.switch(session, asked, now, on=False)


KIND = Pause()
