"""``artifacts``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...clock import now
from ..db.models import Artifact
from ..db.session import reading, transaction
from ..schemas import artifacts as schemas
from ..services.running import artifacts
from ..services.running.artifacts import ArtifactFilter
from .access import actor, needs
from .resource import Resource, answer, answer_page, no_content

blueprint = Resource("artifacts", "Artifacts: what runs show to people; those of one key are a history.")


@blueprint.route("/artifacts")
@needs("viewer", "agent", "run")
@blueprint.arguments(schemas.ArtifactQuery, location="query")
@blueprint.response(200, schemas.ArtifactPage)
def list_artifacts(query: dict[str, Any]) -> Response:
    """List artifacts, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = artifacts.listing(session, ArtifactFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/artifacts/<uuid:artifact_id>")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.ArtifactSchema)
def get_artifact(artifact_id: uuid.UUID) -> Response:
    """Get an artifact."""
    with reading() as session:
        return answer(present(artifacts.get(session, artifact_id)))


@blueprint.route("/artifacts/<uuid:artifact_id>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_artifact(artifact_id: uuid.UUID) -> Response:
    """Delete an artifact."""
    with transaction() as session:
        artifacts.delete(session, artifact_id, actor(), now())
    return no_content()


@blueprint.route("/artifacts/keys/<key>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_artifacts_of_key(key: str) -> Response:
    """Delete all artifacts of a key."""
    with transaction() as session:
        artifacts.delete_key(session, key, actor(), now())
    return no_content()


def present(artifact: Artifact) -> dict[str, Any]:
    """An artifact as JSON."""
    shown = ("id", "key", "type", "description", "data", "flow_run_id", "task_run_id", "created", "updated")
    return {name: getattr(artifact, name) for name in shown}
