"""The home page."""

from __future__ import annotations

from flask import Blueprint, Response, request

from orchestrator.clock import now
from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import tower

blueprint = Blueprint("tower", __name__)


@blueprint.get("/")
def show() -> Response:
    """What is happening right now."""
    wanted = request.args.get("range", "24h")
    with reading() as session:
        loaded = tower.load(session, wanted, now())
    return page("tower", room="tower", page=loaded, wanted=wanted, ranges=tower.RANGES)
