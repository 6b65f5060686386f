"""One resource."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.mapping import resource_edits

from ..access import actor, needs
from ..fragments import done, page
from ..panels import resource

blueprint = Blueprint("resource", __name__, url_prefix="/resource")


@blueprint.get("")
def show() -> Response:
    """The page of the resource ``id``, as it is now."""
    identifier = _identifier()
    with reading() as session:
        loaded = resource.load(session, identifier, now())
    return page("resource", room="resources", page=loaded, resource=loaded.resource)


@blueprint.post("/edit")
@needs("editor")
def edit() -> AnyResponse:
    """Say whose it is and what it is for."""
    identifier = _identifier()
    values = {name: request.form.get(name, "").strip() for name in ("owner", "description")}
    with transaction() as session:
        resource_edits.change(session, identifier, values, actor=actor(), now=now())
    return done("Saved", url_for("web.resource.show", id=identifier))


def _identifier() -> str:
    identifier = request.args.get("id", "")
    if not identifier:
        raise InvalidInput("id is missing: name the resource")
    return identifier
