"""The stream of events, and one event."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request

from orchestrator.clock import now
from orchestrator.server.db.session import reading

from ..fragments import page
from ..panels import events

blueprint = Blueprint("events", __name__)


@blueprint.get("/events")
def show() -> Response:
    """The list, narrowed by ``q``, ``resource`` and a stretch of time."""
    wanted = events.asked(request.args)
    with reading() as session:
        found = events.listing(session, wanted, now(), request.args.get("cursor"))
    return page("events", room="events", asked=wanted, events=found, within=events.WITHIN)


@blueprint.get("/events/<uuid:event_id>")
def one(event_id: uuid.UUID) -> Response:
    """One event: labels, payload, what it follows, what is related."""
    with reading() as session:
        loaded = events.load(session, event_id)
    return page("event", room="events", page=loaded, event=loaded.event, document=events.document(loaded.event))
