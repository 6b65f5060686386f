"""``change-state``: propose a state for a run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .....documents.records import State
from .....states import StateType
from ...running import runs
from .. import action_scope
from ..action_kind import Asked, Field, Kind


class ChangeState(Kind):
    """Proposes a state for a run; the rules decide, as they do for people."""

    name = "change-state"
    title = "Change a run's state"
    description = "Give a run another state, if the rules let it."
    fields = (
        action_scope.RUN,
        Field("type", "choice", "Type of the state.", required=True, choices=tuple(kind.value for kind in StateType)),
        Field("name", "text", "Name of the state; left out: that of the type."),
        Field("message", "prose", "Why."),
    )

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Propose it."""
        values = asked.values
        state = State(
            StateType(values["type"]), values.get("name") or "", values.get("message") or f"By {asked.actor.name}.", now
        )
        run = runs.move(session, action_scope.run(asked), state, actor=asked.actor, now=now)
        runs.join(session, run, asked.chain_id, asked.depth)
        return {"state": run.state_type}


KIND = ChangeState()
