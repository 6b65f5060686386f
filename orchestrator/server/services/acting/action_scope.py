"""Which deployments and runs an action is for: named, those of the event, or those that touch a resource."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.orm import Session

from ....errors import InvalidInput, NotFound
from ...db.models import Deployment, FlowRun
from ..deploying.deployments import for_run
from ..internal import FLOW_ID
from ..mapping import touching
from . import action_targets
from .action_kind import Asked, Field, Nothing

#: Deployments that one action is for at most.
MOST = 100

DEPLOYMENTS = (
    Field("deployment", "deployment", "flow/name of the deployment."),
    Field("inferred", "flag", "The deployment that the event is about, or related to."),
    Field(
        "touching",
        "json",
        "All deployments that touch a resource: its id, or labels that select resources.",
        pattern=True,
    ),
)
DEPLOYMENT_NAMES = tuple(item.name for item in DEPLOYMENTS)
RUN = Field("run", "text", "Id of the run; left out: the run that the event is about, or related to.")


def deployments(session: Session, asked: Asked) -> list[uuid.UUID]:
    """The deployments that an action is for.

    Raises:
        NotFound: There is none of that name, or the event names none.
        Nothing: None touches the resource.
        InvalidInput: Too many do.
    """
    values = asked.values
    if "deployment" in values:
        return [action_targets.find(session, "deployment", values["deployment"])]
    if "touching" in values:
        found = touching.deployments_touching(session, _selector(values["touching"]))
        if not found:
            raise Nothing("no deployment touches it")
        if len(found) > MOST:
            raise InvalidInput(f"{len(found)} deployments touch it: at most {MOST} are acted upon at once")
        return found
    if not values["inferred"]:
        raise Nothing("inferred is false")
    inferred = asked.ours("deployment") or _of_run(session, asked)
    if inferred is None:
        raise NotFound("the event names no deployment")
    return [inferred]


def startable(session: Session, ref: str | uuid.UUID) -> Deployment:
    """A deployment by id or ``flow/name``, with all that starting a run needs.

    Raises:
        NotFound: There is none.
        Conflict: Several have the name.
    """
    with suppress(ValueError):
        ref = ref if isinstance(ref, uuid.UUID) else uuid.UUID(ref)
    found = for_run(session, ref)
    if found.flow_id == FLOW_ID:
        raise NotFound(f"there is no deployment {ref}")
    return found


def run(asked: Asked) -> uuid.UUID:
    """The run that an action is for. Raises NotFound where the event names none, InvalidInput for what is no id."""
    if "run" not in asked.values:
        found = asked.ours("flow-run")
        if found is None:
            raise NotFound("the event names no flow run")
        return found
    text = asked.values["run"]
    try:
        return uuid.UUID(text.removeprefix("orchestrator.flow-run."))
    except ValueError:
        raise InvalidInput(f"run: {text!r:.80} is no id of a flow run", {"run": ["Is no id of a flow run."]}) from None


def _of_run(session: Session, asked: Asked) -> uuid.UUID | None:
    run_id = asked.ours("flow-run")
    found = session.get(FlowRun, run_id) if run_id is not None else None
    return found.deployment_id if found is not None else None


def _selector(value: Any) -> dict[str, Any]:
    """What selects the resources."""
    labels = value if isinstance(value, Mapping) else {"resource.id": value}
    for name, text in labels.items():
        texts = text if isinstance(text, list) else [text]
        if not texts or not all(isinstance(item, str) and item for item in texts):
            raise InvalidInput(f"touching.{name}: give a text")
    return dict(labels)
