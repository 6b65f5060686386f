"""``run-deployment``: start a deployment, with parameters of the event's if you like."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from .....clock import duration
from .....errors import OrchestratorError
from ....db.models import Deployment
from ...running import runs
from .. import action_scope, chain_steps
from ..action_kind import Asked, Field, Kind, Nothing


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
    together = True

    def act(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Create the runs; the same action finds those that it made before."""
        [done] = self.act_all(session, [asked], now)
        if isinstance(done, Exception):
            raise done
        return done

    def act_all(self, session: Session, many: Sequence[Asked], now: datetime) -> list[dict[str, Any] | Exception]:
        """Create the runs of many, each deployment being looked up once."""
        known: dict[str | uuid.UUID, Deployment] = {}
        drafts: list[list[runs.Draft] | Exception] = []
        for asked in many:
            try:
                step = chain_steps.of(session, asked)
                drafts.append([_draft(asked, step, item, now) for item in _deployments(session, asked, known)])
            except (Nothing, OrchestratorError) as error:
                drafts.append(error)
        made = iter(runs.insert(session, [one for item in drafts if isinstance(item, list) for one in item]))
        return [
            item if isinstance(item, Exception) else _told([str(run_id) for run_id, _ in islice(made, len(item))])
            for item in drafts
        ]


def _deployments(session: Session, asked: Asked, known: dict[str | uuid.UUID, Deployment]) -> list[Deployment]:
    """The deployments that an action is for; ``known`` are those that were found already."""
    found = []
    ref = asked.values.get("deployment")
    for item in action_scope.deployments(session, asked) if ref is None else [ref]:
        if item not in known:
            known[item] = action_scope.startable(session, item)
        found.append(known[item])
    return found


def _draft(asked: Asked, step: chain_steps.Started | None, deployment: Deployment, now: datetime) -> runs.Draft:
    values, delay = asked.values, asked.values.get("delay")
    return runs.draft(
        deployment,
        parameters=values.get("parameters") or {},
        actor=asked.actor,
        now=now,
        name=values.get("name"),
        tags=values.get("tags") or (),
        priority=values.get("priority") or 0,
        due=now + duration(delay) if delay is not None else None,
        idempotency_key=step.idempotency_key if step else f"action {asked.action_id} {deployment.id}",
        chain=step.chain if step else (asked.chain_id, asked.depth),
        chain_step=step.key if step else None,
    )


def _told(made: list[str]) -> dict[str, Any]:
    return {"run_id": made[0]} if len(made) == 1 else {"run_ids": made}


KIND = RunDeployment()
