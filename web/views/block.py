"""One block: what it holds, how it is used and by whom, and what can be done with it."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.acting import trial_messages
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.deploying import block_removal
from orchestrator.server.services.mapping import discovery
from orchestrator.server.services.running import errands as service

from ..access import actor, is_part, needs
from ..filters import seconds
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
        return page("block", room="blocks", page=loaded, block=loaded.block, queues=queues, intervals=panel.intervals)


@blueprint.post("/delete")
@needs("editor")
def delete(block_id: uuid.UUID) -> AnyResponse:
    """Delete the block; one that something uses only when that is said (``force``)."""
    with transaction() as session:
        label = blocks.label(blocks.get(session, block_id))
        block_removal.delete(session, block_id, actor(), now(), force=request.form.get("force") == "yes")
    return done(f"Deleted {label}", url_for("web.blocks.show"), go=True)


@blueprint.post("/test")
@needs("editor")
def test(block_id: uuid.UUID) -> AnyResponse:
    """Have an agent try whether the block works; the page's own part tells how it goes."""
    queue = request.form.get("work_queue", "").strip() or service.DEFAULT_QUEUE
    with transaction() as session:
        run_id = service.start_for(session, "test", block_id, {}, work_queue=queue, actor=actor(), now=now())
    return _errand(block_id, run_id)


@blueprint.post("/discover")
@needs("editor")
def discover(block_id: uuid.UUID) -> AnyResponse:
    """Have an agent look through the block at once."""
    with transaction() as session:
        run_id = discovery.look_now(session, block_id, actor(), now())
    return _errand(block_id, run_id)


@blueprint.post("/discovery")
@needs("editor")
def watch(block_id: uuid.UUID) -> AnyResponse:
    """Set how often the block is looked through, and by the agents of which queue."""
    with transaction() as session:
        standing = discovery.change(session, block_id, panel.read_discovery(request.form), actor(), now())
    text = f"Looked through every {seconds(standing.row.interval_s)}, on the queue {standing.work_queue}"
    return done(text, url_for("web.block.show", block_id=block_id))


@blueprint.post("/discovery/switch")
@needs("editor")
def switch(block_id: uuid.UUID) -> AnyResponse:
    """Look through the block from time to time, or no more."""
    with transaction() as session:
        on = not discovery.get(session, block_id, now()).row.active
        discovery.change(session, block_id, {"active": on}, actor(), now())
    text = "On: it is looked through from time to time" if on else "Off: it is looked through when you ask for it"
    return done(text, url_for("web.block.show", block_id=block_id))


@blueprint.post("/test-message")
@needs("editor")
def send_test(block_id: uuid.UUID) -> AnyResponse:
    """Send a real message by the notifier; the page's own part tells what becomes of it."""
    with transaction() as session:
        action_id = trial_messages.send(session, block_id, actor(), now())
    return _message(block_id, action_id)


@blueprint.get("/test-messages/<uuid:action_id>")
def message(block_id: uuid.UUID, action_id: uuid.UUID) -> AnyResponse:
    """What became of a message that was sent for a test."""
    return _message(block_id, action_id)


def _message(block_id: uuid.UUID, action_id: uuid.UUID) -> AnyResponse:
    if not is_part():
        return redirect(url_for("web.block.show", block_id=block_id), 303)
    with reading() as session:
        part = panel.message(session, action_id, now())
    return make_response(render_template("parts/test_message.html", message=part, block_id=block_id))


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
