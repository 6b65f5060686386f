"""``artifacts``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ..db.models import Artifact
from ..db.session import reading
from ..schemas import artifacts as schemas
from ..services.running import artifacts
from ..services.running.artifacts import ArtifactFilter
from .access import needs
from .resource import Resource, answer, answer_page

blueprint = Resource("artifacts", "Artifacts: what runs show to people; those of one key are a history.")


@blueprint.route("/artifacts")
@needs("viewer")
@blueprint.arguments(schemas.ArtifactQuery, location="query")
@blueprint.response(200, schemas.ArtifactPage)
def list_artifacts(query: dict[str, Any]) -> Response:
    """List artifacts, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = artifacts.listing(session, ArtifactFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/artifacts/<uuid:artifact_id>")
@needs("viewer")
@blueprint.response(200, schemas.ArtifactSchema)
def get_artifact(artifact_id: uuid.UUID) -> Response:
    """Get an artifact."""
    with reading() as session:
        return answer(present(artifacts.get(session, artifact_id)))


def present(artifact: Artifact) -> dict[str, Any]:
    """An artifact as JSON."""
    shown = ("id", "key", "type", "description", "data", "flow_run_id", "task_run_id", "created")
    return {name: getattr(artifact, name) for name in shown}
