"""Triggers: the list, one of them, and what is done with it."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, g, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.reacting import triggers as service

from ..access import actor, needs
from ..fragments import done, page
from ..panels import actions, firings, triggers

blueprint = Blueprint("triggers", __name__, url_prefix="/triggers")


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q``, ``standing``, ``severity`` and ``deployment``."""
    wanted = triggers.asked(request.args)
    with reading() as session:
        found = triggers.listing(session, wanted, now(), request.args.get("cursor"))
    return page("triggers", room="triggers", asked=wanted, found=found)


@blueprint.get("/<uuid:trigger_id>")
def one(trigger_id: uuid.UUID) -> Response:
    """One trigger; ``event`` asks why it did, or did not, fire for an event."""
    return _one(trigger_id, {}, {})


@blueprint.post("/<uuid:trigger_id>/switch")
@needs("editor")
def switch(trigger_id: uuid.UUID) -> AnyResponse:
    """Turn it off, or on again."""
    with transaction() as session:
        wanted = not service.get(session, trigger_id).active
        found = service.change(session, trigger_id, {"active": wanted}, actor(), now())
    return done(f"{found.name} is {'on' if found.active else 'off'}", _here(trigger_id))


@blueprint.post("/<uuid:trigger_id>/mute")
@needs("editor")
def mute(trigger_id: uuid.UUID) -> AnyResponse:
    """Have it do nothing until a time."""
    at = now()
    try:
        until = triggers.until(request.form, at)
    except InvalidInput as error:
        g.shown_as = "web.triggers.one"
        return _one(trigger_id, request.form.to_dict(), error.errors, 422)
    with transaction() as session:
        found = service.mute(session, trigger_id, until, actor(), at)
    return done(f"{found.name} is muted", _here(trigger_id))


@blueprint.post("/<uuid:trigger_id>/unmute")
@needs("editor")
def unmute(trigger_id: uuid.UUID) -> AnyResponse:
    """Have it do things again."""
    with transaction() as session:
        found = service.mute(session, trigger_id, None, actor(), now())
    return done(f"{found.name} is no longer muted", _here(trigger_id))


@blueprint.post("/<uuid:trigger_id>/delete")
@needs("editor")
def delete(trigger_id: uuid.UUID) -> AnyResponse:
    """Delete it with its firings."""
    with transaction() as session:
        name = service.get(session, trigger_id).name
        service.delete_(session, trigger_id, actor(), now())
    return done(f"{name} is deleted", url_for("web.triggers.show"), go=True)


def _one(trigger_id: uuid.UUID, sent: dict[str, str], errors: dict[str, list[str]], status: int = 200) -> Response:
    with reading() as session:
        loaded = triggers.load(session, trigger_id, request.args, now())
    answer = page(
        "trigger", room="triggers", page=loaded, trigger=loaded.row.trigger, keys_of=firings.keys, words=actions.words,
        words_of=actions.words_of, mutes=triggers.MUTES, sent=sent, errors=errors,
    )  # fmt: skip
    answer.status_code = status if status != 200 else answer.status_code
    return answer


def _here(trigger_id: uuid.UUID) -> str:
    return url_for("web.triggers.one", trigger_id=trigger_id)
