"""``deployments``, and starting runs of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response, request
from sqlalchemy.orm import Session

from ... import names
from ...clock import now
from ...documents import records
from ...errors import InvalidInput
from ...states import StateType
from ..db.models import Deployment
from ..db.session import reading, transaction
from ..schemas import deployments as schemas
from ..schemas.flow_runs import FlowRunSchema
from ..services.deploying import deployment_changes, deployment_documents, deployment_notifications, deployments
from ..services.deploying.deployments import DeploymentFilter
from ..services.mapping import deployment_resources
from ..services.running import runs
from . import schedules
from .access import actor, background_only, needs
from .resource import Resource, address, answer, check_match, no_content

blueprint = Resource("deployments", "Deployments: flows that can be started by name; addressed by id or `flow/name`.")

#: RFC 9512.
YAML = "application/yaml"
_KEY_MAX = 200
_IDEMPOTENCY = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "A second request with the same key, for the same flow, answers the run of the first (200).",
    "schema": {"type": "string", "maxLength": _KEY_MAX},
}


@blueprint.route("/deployments")
@needs("viewer")
@blueprint.arguments(schemas.DeploymentQuery, location="query")
@blueprint.response(200, schemas.DeploymentPage)
def list_deployments(query: dict[str, Any]) -> Response:
    """List deployments, by flow and name."""
    limit, cursor, at = query.pop("limit"), query.pop("cursor"), now()
    with reading() as session:
        found = deployments.listing(session, DeploymentFilter(**query), limit, cursor)
        labels = deployment_changes.block_labels(session, found.items)
        items = [present(session, item, labels, at) for item in found.items]
    return answer({"items": items, "next": found.next})


@blueprint.routes("/deployments/<ref>", "/deployments/<kind>/<name>")
@needs("viewer")
@blueprint.response(200, schemas.DeploymentSchema)
def get_deployment(**ref: str) -> Response:
    """Get a deployment."""
    with reading() as session:
        return answer(_shown(session, deployments.get(session, address(**ref)), now()))


@blueprint.routes("/deployments/<ref>/document", "/deployments/<kind>/<name>/document")
@needs("viewer")
@blueprint.arguments(schemas.DocumentQuery, location="query")
@blueprint.response(200, schemas.DeploymentInputSchema)
def get_document(query: dict[str, Any], **ref: str) -> Response:
    """Get the document that gives the same deployment when it is applied, as JSON or as a file with comments."""
    with reading() as session:
        deployment = deployments.get(session, address(**ref))
        if query["format"] == "yaml":
            return Response(deployment_documents.text(session, deployment), mimetype=YAML)
        return answer(deployment_documents.of(session, deployment))


@blueprint.route("/deployments", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ApplyQuery, location="query")
@blueprint.arguments(schemas.DeploymentInputSchema)
@blueprint.response(200, schemas.AppliedSchema)
@blueprint.alt_response(201, schema=schemas.AppliedSchema, success=True)
def apply_deployment(query: dict[str, Any], body: dict[str, Any]) -> Response:
    """Create a deployment (201), or make the present one of that flow and name like this (200)."""
    at = now()
    with transaction() as session:
        applied = deployments.apply(session, body, actor(), at, force=query["force"])
        shown = _shown(session, applied.deployment, at)
    outcome = {"deployment": shown, "created": applied.created, "changes": applied.changes}
    return answer(outcome, 201 if applied.created else 200)


@blueprint.routes("/deployments/<ref>", "/deployments/<kind>/<name>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.DeploymentChangeSchema)
@blueprint.response(200, schemas.DeploymentSchema)
def change_deployment(body: dict[str, Any], **ref: str) -> Response:
    """Pause or resume a deployment, or change its description, tags, parameters, queue, limit, labels."""
    at = now()
    with transaction() as session:
        check_match(lambda: _shown(session, deployments.get(session, address(**ref)), at))
        changed = deployments.change(session, address(**ref), body, actor(), at)
        return answer(_shown(session, changed, at))


@blueprint.routes("/deployments/<ref>", "/deployments/<kind>/<name>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_deployment(**ref: str) -> Response:
    """Delete a deployment; runs that wait are cancelled, ended ones stay."""
    with transaction() as session:
        deployment = deployments.pause(session, address(**ref), actor(), now())
    done = deployments.CANCELS
    while done == deployments.CANCELS:
        with transaction() as session:
            done = deployments.cancel_waiting(session, deployment.id, actor(), now(), deployments.CANCELS)
    done = deployments.BATCH
    while done == deployments.BATCH:
        with transaction() as session:
            done = deployments.forget_runs(session, deployment.id, deployments.BATCH)
    with transaction() as session:
        deployments.delete(session, deployment.id, actor(), now())
    return no_content()


@blueprint.routes("/deployments/<ref>/runs", "/deployments/<kind>/<name>/runs", methods=["POST"])
@needs("editor", "run")
@blueprint.arguments(schemas.RunInputSchema)
@blueprint.response(201, FlowRunSchema)
@blueprint.alt_response(200, schema=FlowRunSchema, success=True)
@blueprint.doc(parameters=[_IDEMPOTENCY])
def create_run(body: dict[str, Any], **ref: str) -> Response:
    """Start a run of a deployment, now or later. A run's own token may start background runs of tasks."""
    at, key = now(), _idempotency_key()
    body["name"] = body["name"] or names.run_name()
    with transaction() as session:
        deployment = deployments.for_run(session, address(**ref))
        background_only(deployment.flow.name, deployment.name)
        run_id, is_new = runs.create(session, deployment, **body, actor=actor(), now=at, idempotency_key=key)
        if not is_new:
            return answer(runs.describe(runs.row(session, run_id)))
    return answer(_new_run(run_id, deployment, body, at), 201)


def present(session: Session, deployment: Deployment, labels: Mapping[uuid.UUID, str], at: datetime) -> dict[str, Any]:
    """A deployment as JSON; ``labels`` name the blocks it refers to."""
    storage, infrastructure = deployment.storage_block_id, deployment.infrastructure_block_id
    results = deployment.results_block_id
    return {
        "id": deployment.id,
        "name": deployment.name,
        "flow": {"id": deployment.flow_id, "name": deployment.flow.name},
        "description": deployment.description,
        "version": deployment.version,
        "tags": deployment.tags,
        "entrypoint": deployment.entrypoint,
        "storage": {
            "block": labels.get(storage) if storage else None,
            "block_id": storage,
            "path": deployment.storage_path,
            "snapshot": deployment.snapshot,
        },
        "infrastructure": {
            "block": labels.get(infrastructure) if infrastructure else None,
            "block_id": infrastructure,
            "overrides": deployment.infrastructure_overrides,
        },
        "results": {
            "block": labels.get(results) if results else None,
            "block_id": results,
            "path": deployment.results_path,
        },
        "notifications": [
            {"block": deployment_notifications.block_of(item), "on": deployment_notifications.states_of(item)}
            for item in deployment.notifications
        ],
        **deployment_resources.by_role(deployment),
        "work_queue": deployment.work_queue.name,
        "crash_retries": deployment.crash_retries,
        "concurrency_limit": deployment.concurrency_limit,
        "collision": deployment.collision,
        "labels": deployment.labels,
        "parameters": deployment.parameters,
        "parameter_schema": deployment.parameter_schema,
        "paused": deployment.paused,
        "not_ready": deployment.not_ready,
        "schedules": [schedules.present(session, item, at) for item in deployment.schedules],
        "created": deployment.created,
        "updated": deployment.updated,
    }


def _shown(session: Session, deployment: Deployment, at: datetime) -> dict[str, Any]:
    return present(session, deployment, deployment_changes.block_labels(session, [deployment]), at)


def _new_run(run_id: uuid.UUID, deployment: Deployment, body: Mapping[str, Any], at: datetime) -> records.FlowRun:
    """What was just written, without reading it again."""
    given = {name: body[name] for name in ("name", "tags", "due", "priority")}
    row = runs.new_row(deployment, {**deployment.parameters, **body["parameters"]}, actor(), at, **given)
    state = records.State(StateType(row["state_type"]), row["state_name"], at=at)
    return records.FlowRun(
        id=run_id,
        name=row["name"],
        flow=records.Reference(deployment.flow_id, deployment.flow.name),
        deployment=records.Reference(deployment.id, deployment.name),
        state=state,
        parameters=row["parameters"],
        tags=row["tags"],
        work_queue=deployment.work_queue.name,
        priority=row["priority"],
        due=row["due"],
        created=at,
        created_by=actor(),
    )


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= _KEY_MAX:
        problem = f"Must have 1 to {_KEY_MAX} characters."
        raise InvalidInput(f"Idempotency-Key: {problem}", {"Idempotency-Key": [problem]})
    return key
