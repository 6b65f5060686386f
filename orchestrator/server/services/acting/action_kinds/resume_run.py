"""``resume-run``: queue a suspended run again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....states import StateType
from ...running import runs
from .. import action_scope
from ..action_kind import Asked, Kind, Nothing


class ResumeRun(Kind):
    """Queues a suspended run again, which begins a new attempt."""

    name = "resume-run"
    title = "Resume a run"
    description = "Queue a suspended run again."
    fields = (action_scope.RUN,)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Queue it, as part of the chain: what follows from it is counted."""
        run = runs.get(session, action_scope.run(asked))
        if run.state_type not in (StateType.PAUSED, StateType.CANCELLING):
            raise Nothing(f"the run is {run.state_name}, not suspended")
        run = runs.resume(session, run.id, asked.actor, now)
        runs.join(session, run, asked.chain_id, asked.depth)
        return {"resumed": str(run.id)}


KIND = ResumeRun()
