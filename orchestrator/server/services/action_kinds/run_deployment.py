"""``run-deployment``: start a deployment, with parameters of the event's if you like."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....clock import duration
from ....errors import NotFound
from .. import action_targets, deployments, runs
from ..action_kind import Asked, Field, Kind, Nothing


class RunDeployment(Kind):
    """Creates a run of a deployment."""

    name = "run-deployment"
    title = "Run a deployment"
    description = "Create a run of a deployment."
    fields = (
        Field("deployment", "deployment", "flow/name of the deployment."),
        Field("inferred", "flag", "The deployment that the event is about, or related to."),
        Field("parameters", "mapping", "Laid over the deployment's own."),
        Field("delay", "duration", "How long after the firing the run is due."),
        Field("name", "text", "Name of the run."),
        Field("tags", "texts", "Tags of the run, beside the deployment's."),
        Field("priority", "number", "Priority of the run."),
    )
    one_of = (("deployment", "inferred"),)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Create the run; the same action finds the run that it made before."""
        values = asked.values
        if "deployment" in values:
            found = action_targets.find(session, "deployment", values["deployment"])
        elif values["inferred"]:
            inferred = asked.ours("deployment")
            if inferred is None:
                raise NotFound("the event names no deployment")
            found = inferred
        else:
            raise Nothing("inferred is false")
        deployment = deployments.for_run(session, found)
        delay = values.get("delay")
        run_id, _ = runs.create(
            session,
            deployment,
            parameters=values.get("parameters") or {},
            actor=asked.actor,
            now=now,
            name=values.get("name"),
            tags=values.get("tags") or (),
            priority=values.get("priority") or 0,
            due=now + duration(delay) if delay is not None else None,
            idempotency_key=f"action {asked.action_id}",
            chain=(asked.chain_id, asked.depth),
        )
        return {"run_id": str(run_id)}


KIND = RunDeployment()
