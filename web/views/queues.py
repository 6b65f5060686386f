"""Work queues: how long they are, who serves them; pausing and limiting them."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.running import work_queues

from ..access import actor, needs
from ..fragments import done, page
from ..panels import queues

blueprint = Blueprint("queues", __name__)


@blueprint.get("/queues")
def show() -> Response:
    """The list."""
    with reading() as session:
        loaded = queues.load(session, now(), request.args.get("cursor"))
    return page("queues", room="queues", page=loaded)


@blueprint.post("/queues/<uuid:queue_id>/pause")
@needs("editor")
def pause(queue_id: uuid.UUID) -> AnyResponse:
    """Stop handing out runs of a queue, or go on with it."""
    with transaction() as session:
        queue = work_queues.get(session, queue_id)
        is_shut = queue.paused or queue.draining is not None
        wanted = {"paused": False, "draining": False} if is_shut else {"paused": True}
        work_queues.change(session, queue.id, wanted, actor(), now())
    text = f"The queue {queue.name} is {'paused' if queue.paused else 'open again'}"
    return done(text, url_for("web.queues.show"))


@blueprint.post("/queues/<uuid:queue_id>/drain")
@needs("editor")
def drain(queue_id: uuid.UUID) -> AnyResponse:
    """Hand out what waits in a queue now, and nothing that comes later."""
    with transaction() as session:
        queue = work_queues.change(session, queue_id, {"draining": True}, actor(), now())
    return done(f"The queue {queue.name} is being drained", url_for("web.queues.show"))


@blueprint.post("/queues/<uuid:queue_id>/limit")
@needs("editor")
def limit(queue_id: uuid.UUID) -> AnyResponse:
    """Set how many runs of a queue may be active at once; an empty field takes the limit away."""
    text = request.form.get("limit", "").strip()
    if text and not text.isdecimal():
        raise InvalidInput("the limit is a whole number, or empty for none")
    with transaction() as session:
        queue = work_queues.change(
            session, queue_id, {"concurrency_limit": int(text) if text else None}, actor(), now()
        )
    said = f"at most {text} at once" if text else "without a limit"
    return done(f"The queue {queue.name} runs {said}", url_for("web.queues.show"))
