"""Actions: the list, and doing again what was given up."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.acting import actions as service
from orchestrator.server.services.acting.actions import STATES

from ..access import actor, needs
from ..fragments import done, page
from ..panels import actions

blueprint = Blueprint("actions", __name__, url_prefix="/actions")


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``state``, ``kind``, ``trigger`` and ``expectation``."""
    wanted = actions.asked(request.args)
    with reading() as session:
        found = actions.listing(session, wanted, request.args.get("cursor"))
    return page(
        "actions",
        room="actions",
        asked=wanted,
        found=found,
        states=STATES,
        kinds=actions.kinds(),
        words_of=actions.words_of,
    )


@blueprint.get("/<uuid:action_id>")
def one(action_id: uuid.UUID) -> AnyResponse:
    """It stands on the page of its firing."""
    with reading() as session:
        firing_id = service.get(session, action_id).firing.id
    return redirect(url_for("web.firings.one", firing_id=firing_id, _anchor=f"action-{action_id}"), 303)


@blueprint.post("/<uuid:action_id>/redo")
@needs("editor")
def redo(action_id: uuid.UUID) -> AnyResponse:
    """Have it done after all."""
    with transaction() as session:
        service.redo(session, action_id, actor(), now())
    return done("It is tried again", url_for("web.actions.one", action_id=action_id))
