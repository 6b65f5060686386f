"""The list of resources."""

from __future__ import annotations

from flask import Blueprint, Response, request

from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import resources

blueprint = Blueprint("resources", __name__)


@blueprint.get("/resources")
def show() -> Response:
    """The list, narrowed by ``q``, ``kind`` and ``source``."""
    wanted = resources.asked(request.args)
    with reading() as session:
        found = resources.listing(session, wanted, request.args.get("cursor"))
    return page("resources", room="resources", asked=wanted, found=found)
