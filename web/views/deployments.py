"""The list of deployments."""

from __future__ import annotations

from flask import Blueprint, Response, request

from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import deployments

blueprint = Blueprint("deployments", __name__)


@blueprint.get("/deployments")
def show() -> Response:
    """The list, narrowed by ``q`` and ``tag``."""
    text, tag = request.args.get("q", "").strip(), request.args.get("tag", "").strip()
    with reading() as session:
        loaded = deployments.listing(session, text, tag, request.args.get("cursor"))
    return page("deployments", room="deployments", page=loaded, text=text, tag=tag)
