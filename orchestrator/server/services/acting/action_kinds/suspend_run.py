"""``suspend-run``: have a run stop, and wait until it is resumed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....clock import duration, from_text
from .....errors import InvalidInput
from .....states import SUSPENDED, StateType
from ...running import runs
from .. import action_scope
from ..action_kind import Asked, Field, Kind, Nothing


class SuspendRun(Kind):
    """Suspends a run, unless it ended or is being stopped already."""

    name = "suspend-run"
    title = "Suspend a run"
    description = "Have a run stop and free its slot, until it is resumed."
    fields = (
        action_scope.RUN,
        Field("for", "duration", "It fails if nobody resumes it within this time."),
        Field("until", "instant", "It fails if nobody resumes it by this time."),
    )

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Suspend it."""
        run = runs.get(session, action_scope.run(asked))
        if run.ended is not None:
            raise Nothing(f"the run ended as {run.state_name} already")
        if run.state_type == StateType.CANCELLING or run.state_name == SUSPENDED:
            raise Nothing(f"the run is {run.state_name} already")
        runs.suspend(session, run.id, asked.actor, now, _until(asked, now))
        return {"suspended": str(run.id)}


def _until(asked: Asked, now: datetime) -> datetime | None:
    values = asked.values
    if "for" in values and "until" in values:
        raise InvalidInput("until: give it or for, not both", {"until": ["Must not be given beside for."]})
    if "for" in values:
        return now + duration(values["for"])
    return from_text(values["until"]) if "until" in values else None


KIND = SuspendRun()
