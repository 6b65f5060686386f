"""The stream of events, and one event."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, request

from orchestrator.clock import now
from orchestrator.server.db.models.event import KINDS, SOURCES
from orchestrator.server.db.session import reading

from ..fragments import data, page
from ..panels import events

blueprint = Blueprint("events", __name__)


@blueprint.get("/events")
def show() -> Response:
    """The list, narrowed by ``q``, ``resource``, ``kind``, ``source`` and a stretch of time."""
    wanted = events.asked(request.args)
    with reading() as session:
        found = events.listing(session, wanted, now(), request.args.get("cursor"))
    choices = {"kinds": KINDS, "sources": SOURCES, "within": events.WITHIN}
    return page("events", room="events", asked=wanted, events=found, **choices)


@blueprint.get("/events/histogram")
def histogram() -> Response:
    """The bars above the list."""
    with reading() as session:
        return data(events.chart(session, events.asked(request.args), now()))


@blueprint.get("/events/<uuid:event_id>")
def one(event_id: uuid.UUID) -> Response:
    """One event: labels, payload, what it follows, what is related."""
    with reading() as session:
        loaded = events.load(session, event_id)
    return page("event", room="events", page=loaded, event=loaded.event, document=events.document(loaded.event))
