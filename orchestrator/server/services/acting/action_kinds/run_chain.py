"""``run-chain``: start a chain of deployments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...reacting import chains
from ..action_kind import Asked, Field, Kind


class RunChain(Kind):
    """Starts a chain; the run of it has an id of its own, and what it does counts for the depth of its cause."""

    name = "run-chain"
    title = "Run a chain"
    description = "Start the first steps of a chain of deployments."
    fields = (
        Field("chain", "text", "Name of the chain.", required=True, fixed=True),
        Field("parameters", "mapping", "Laid over those of its first steps; later ones find them as chain.parameters."),
    )

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Start it; the same action finds the run that it started before."""
        parameters = asked.values.get("parameters") or {}
        made = chains.start(
            session, asked.values["chain"], parameters, asked.actor, now, run_id=asked.action_id, depth=asked.depth
        )
        return {"chain_run_id": str(made.id)}


KIND = RunChain()
