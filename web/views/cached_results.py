"""Cached results: the list, and having one forgotten."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.running import cached_results as service

from ..access import actor, needs
from ..fragments import done, page
from ..panels import cached_results

blueprint = Blueprint("cached_results", __name__, url_prefix="/cached-results")


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q``: a part of the tasks' names."""
    text = request.args.get("q", "").strip()
    with reading() as session:
        loaded = cached_results.load(session, text, request.args.get("cursor"), now())
    return page("cached_results", room="cached-results", text=text, found=loaded.page, runs=loaded.runs)


@blueprint.post("/<uuid:key_id>/delete")
@needs("editor")
def delete(key_id: uuid.UUID) -> AnyResponse:
    """Forget it."""
    with transaction() as session:
        service.delete(session, key_id, actor(), now())
    return done("Forgotten: the next call computes it anew", url_for("web.cached_results.show"))
