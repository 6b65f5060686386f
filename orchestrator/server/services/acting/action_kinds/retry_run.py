"""``retry-run``: queue an ended run again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...running import runs
from .. import action_scope
from ..action_kind import Asked, Kind


class RetryRun(Kind):
    """Queues an ended run again under its own id; the rules for that are those of a retry by hand."""

    name = "retry-run"
    title = "Retry a run"
    description = "Queue a run that failed again."
    fields = (action_scope.RUN,)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Queue it, as part of the chain: what follows from it is counted."""
        run = runs.retry(session, action_scope.run(asked), asked.actor, now)
        runs.join(session, run, asked.chain_id, asked.depth)
        return {"retried": str(run.id)}


KIND = RetryRun()
