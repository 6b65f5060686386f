"""``resume-run``: have a run go on that waits for people, with an answer where it asks for one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....states import StateType
from ...running import runs
from .. import action_scope
from ..action_kind import Asked, Field, Kind, Nothing


class ResumeRun(Kind):
    """Resumes a run: one that is suspended begins a new attempt, one whose process waits goes on."""

    name = "resume-run"
    title = "Resume a run"
    description = "Have a paused or suspended run go on."
    fields = (
        action_scope.RUN,
        Field("input", "json", "What it asks for: an object, or the value of a type without fields."),
    )

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Resume it, as part of the chain: what follows from it is counted."""
        run = runs.get(session, action_scope.run(asked))
        if run.state_type not in (StateType.PAUSED, StateType.CANCELLING):
            raise Nothing(f"the run is {run.state_name}, not suspended")
        run = runs.resume(session, run.id, asked.actor, now, _answer(asked.values.get("input")))
        runs.join(session, run, asked.chain_id, asked.depth)
        return {"resumed": str(run.id)}


def _answer(given: Any) -> Any:
    """An answer as questions take it: the value of a type without fields is the one field of an object."""
    return given if given is None or isinstance(given, dict) else {"value": given}


KIND = ResumeRun()
