"""The list of resources."""

from __future__ import annotations

from flask import Blueprint, Response, request

from orchestrator.server.db.session import reading

from ..fragments import page
from ..looks import HEALTH
from ..panels import resources

blueprint = Blueprint("resources", __name__)


@blueprint.get("/resources")
def show() -> Response:
    """The list, narrowed by ``q``, ``kind``, ``state`` and more, as it is or ``as_of`` a time."""
    wanted = resources.asked(request.args)
    with reading() as session:
        found = resources.listing(session, wanted, request.args.get("cursor"))
    return page("resources", room="resources", asked=wanted, page=found, looks=HEALTH)
