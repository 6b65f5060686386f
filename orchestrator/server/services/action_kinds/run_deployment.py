"""``run-deployment``: start a deployment, with parameters of the event's if you like."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....clock import duration
from .. import action_scope, chain_steps, deployments, runs
from ..action_kind import Asked, Field, Kind


class RunDeployment(Kind):
    """Creates runs of a deployment, or of all that touch a resource."""

    name = "run-deployment"
    title = "Run a deployment"
    description = "Create a run of a deployment."
    fields = (
        *action_scope.DEPLOYMENTS,
        Field("parameters", "mapping", "Laid over the deployment's own."),
        Field("delay", "duration", "How long after the firing the run is due."),
        Field("name", "text", "Name of the run."),
        Field("tags", "texts", "Tags of the run, beside the deployment's."),
        Field("priority", "number", "Priority of the run."),
    )
    one_of = (action_scope.DEPLOYMENT_NAMES,)

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Create the runs; the same action finds those that it made before."""
        values, delay = asked.values, asked.values.get("delay")
        step = chain_steps.of(session, asked)
        made = []
        for deployment_id in action_scope.deployments(session, asked):
            run_id, _ = runs.create(
                session,
                deployments.for_run(session, deployment_id),
                parameters=values.get("parameters") or {},
                actor=asked.actor,
                now=now,
                name=values.get("name"),
                tags=values.get("tags") or (),
                priority=values.get("priority") or 0,
                due=now + duration(delay) if delay is not None else None,
                idempotency_key=step.idempotency_key if step else f"action {asked.action_id} {deployment_id}",
                chain=step.chain if step else (asked.chain_id, asked.depth),
                chain_step=step.key if step else None,
            )
            made.append(str(run_id))
        return {"run_id": made[0]} if len(made) == 1 else {"run_ids": made}


KIND = RunDeployment()
