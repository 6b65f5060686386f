"""One block: what it holds, how it is used and by whom, and what can be done with it."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services import blocks
from orchestrator.server.services import errands as service

from ..access import actor, is_part, needs
from ..fragments import done, page
from ..panels import block as panel
from ..panels import errands

blueprint = Blueprint("block", __name__, url_prefix="/blocks/<uuid:block_id>")


@blueprint.get("")
def show(block_id: uuid.UUID) -> Response:
    """The page."""
    with reading() as session:
        loaded = panel.load(session, block_id, now())
        queues = errands.queues(session, now())
        return page("block", room="blocks", page=loaded, block=loaded.block, queues=queues)


@blueprint.post("/delete")
@needs("editor")
def delete(block_id: uuid.UUID) -> AnyResponse:
    """Delete the block; one that something uses only when that is said (``force``)."""
    with transaction() as session:
        label = blocks.label(blocks.get(session, block_id))
        blocks.delete(session, block_id, actor(), now(), force=request.form.get("force") == "yes")
    return done(f"Deleted {label}", url_for("web.blocks.show"), go=True)


@blueprint.post("/test")
@needs("editor")
def test(block_id: uuid.UUID) -> AnyResponse:
    """Have an agent try whether the block works; the page's own part tells how it goes."""
    queue = request.form.get("work_queue", "").strip() or service.DEFAULT_QUEUE
    with transaction() as session:
        run_id = service.start_for(session, "test", block_id, {}, work_queue=queue, actor=actor(), now=now())
    return _errand(block_id, run_id)


@blueprint.get("/errands/<uuid:run_id>")
def errand(block_id: uuid.UUID, run_id: uuid.UUID) -> AnyResponse:
    """How an errand stands."""
    return _errand(block_id, run_id)


def _errand(block_id: uuid.UUID, run_id: uuid.UUID) -> AnyResponse:
    if not is_part():
        return redirect(url_for("web.block.show", block_id=block_id), 303)
    with reading() as session:
        part = errands.load(session, run_id, now())
    return make_response(render_template("parts/errand.html", errand=part, block_id=block_id))
