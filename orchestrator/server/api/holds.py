"""``holds``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import holds as schemas
from ..services.acting import holds
from ..services.acting.holds import HoldRow, Wanted
from .access import actor, needs
from .resource import Resource, answer, answer_page

blueprint = Resource("holds", "Holds: what touches a resource waits.")


@blueprint.route("/holds")
@needs("viewer")
@blueprint.arguments(schemas.HoldQuery, location="query")
@blueprint.response(200, schemas.HoldPage)
def list_holds(query: dict[str, Any]) -> Response:
    """List holds, newest first."""
    with reading() as session:
        return answer_page(holds.listing(session, now(), **query), present)


@blueprint.route("/holds", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.HoldInputSchema)
@blueprint.response(201, schemas.HoldSchema)
def place_hold(body: dict[str, Any]) -> Response:
    """Place a hold; the answer tells which deployments it holds."""
    with transaction() as session:
        return answer(present(holds.place(session, Wanted(**body), actor(), now())), 201)


@blueprint.route("/holds/preview", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.PreviewInputSchema)
@blueprint.response(200, schemas.PreviewSchema)
def preview_hold(body: dict[str, Any]) -> Response:
    """Tell what a hold would be on and which deployments it would hold, without placing it."""
    with reading() as session:
        found = holds.preview(session, body["match"], now())
    return answer({"resources": found.resources, "number": found.number, "deployments": found.deployments})


@blueprint.route("/holds/<uuid:hold_id>")
@needs("viewer")
@blueprint.response(200, schemas.HoldSchema)
def get_hold(hold_id: uuid.UUID) -> Response:
    """Get a hold."""
    with reading() as session:
        return answer(present(holds.get(session, hold_id, now())))


@blueprint.route("/holds/<uuid:hold_id>/release", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ReleaseSchema)
@blueprint.response(200, schemas.HoldSchema)
def release_hold(body: dict[str, Any], hold_id: uuid.UUID) -> Response:
    """Release a hold; one that was released stays as it is."""
    with transaction() as session:
        return answer(present(holds.release(session, hold_id, actor(), now(), body["reason"])))


def present(row: HoldRow) -> dict[str, Any]:
    """A hold as JSON."""
    shown = (
        "id", "match", "kind", "slots", "delay_s", "reason", "until", "until_event", "placed", "placed_by",
        "firing_id", "released", "released_by", "release_reason",
    )  # fmt: skip
    return {**{name: getattr(row.hold, name) for name in shown}, "deployments": row.deployments}
