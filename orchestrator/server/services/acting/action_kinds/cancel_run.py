"""``cancel-run``: ask a run to stop."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...running import runs
from .. import action_scope
from ..action_kind import Asked, Kind, Nothing


class CancelRun(Kind):
    """Cancels a run, unless it ended already."""

    name = "cancel-run"
    title = "Cancel a run"
    description = "Ask a run to stop."
    fields = (action_scope.RUN,)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Cancel it."""
        run = runs.get(session, action_scope.run(asked))
        if run.ended is not None:
            raise Nothing(f"the run ended as {run.state_name} already")
        runs.cancel(session, run.id, asked.actor, now)
        return {"cancelled": str(run.id)}


KIND = CancelRun()
