"""Firings: the list, one of them, and what people do about it."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.reacting import firings as service

from ..access import actor, needs
from ..fragments import done, page
from ..panels import actions, firings

blueprint = Blueprint("firings", __name__, url_prefix="/firings")


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q``, ``state``, ``of``, ``severity``, ``unseen`` and ``chain``."""
    wanted = firings.asked(request.args)
    with reading() as session:
        found = firings.listing(session, wanted, request.args.get("cursor"))
    return page("firings", room="firings", asked=wanted, found=found, keys_of=firings.keys)


@blueprint.get("/<uuid:firing_id>")
def one(firing_id: uuid.UUID) -> Response:
    """One firing: what led to it, what was done, what followed."""
    with reading() as session:
        loaded = firings.load(session, firing_id)
    return page(
        "firing", room="firings", page=loaded, row=loaded.row, firing=loaded.row.firing, keys_of=firings.keys,
        words_of=actions.words_of,
    )  # fmt: skip


@blueprint.post("/<uuid:firing_id>/acknowledge")
@needs("editor")
def acknowledge(firing_id: uuid.UUID) -> AnyResponse:
    """Say that one looks after it."""
    with transaction() as session:
        row = service.acknowledge(session, firing_id, actor(), now())
        name = row.firing.acknowledged_by
    return done(f"{name} looks after it", _here(firing_id))


@blueprint.post("/<uuid:firing_id>/resolve")
@needs("editor")
def resolve(firing_id: uuid.UUID) -> AnyResponse:
    """End it by hand."""
    with transaction() as session:
        service.resolve(session, firing_id, actor(), now())
    return done("It is over: what is to be done then is asked for", _here(firing_id))


def _here(firing_id: uuid.UUID) -> str:
    return url_for("web.firings.one", firing_id=firing_id)
