"""One resource."""

from __future__ import annotations

from flask import Blueprint, Response, request

from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import resource

blueprint = Blueprint("resource", __name__, url_prefix="/resource")


@blueprint.get("")
def show() -> Response:
    """The page of the resource ``id``, as it is now."""
    identifier = request.args.get("id", "")
    if not identifier:
        raise InvalidInput("id is missing: name the resource")
    with reading() as session:
        loaded = resource.load(session, identifier)
    return page("resource", room="resources", page=loaded, resource=loaded.resource)
