"""``resume``: start a deployment, schedule, work queue or trigger again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .. import action_switches
from ..action_kind import Asked, Kind


class Resume(Kind):
    """Undoes a pause."""

    name = "resume"
    title = "Resume"
    description = "Start a deployment, schedule, work queue or trigger again."
    fields = action_switches.FIELDS
    one_of = (action_switches.NAMES,)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Switch it; twice changes nothing."""
        return action_switches.switch(session, asked, now, on=True)


KIND = Resume()
