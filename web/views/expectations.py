"""Expectations: the list with its calendar, one of them, and what is done with it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import ScheduleError
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.expecting import expectations as service
from orchestrator.server.services.expecting import suggestions

from ..access import actor, is_part, needs
from ..fragments import done, page
from ..panels import expectations

blueprint = Blueprint("expectations", __name__, url_prefix="/expectations")
#: How long the button mutes.
MUTED = timedelta(hours=4)


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q`` and ``owner``, with two weeks of the calendar."""
    wanted = expectations.asked(request.args)
    with reading() as session:
        found = expectations.listing(session, wanted, now(), request.args.get("cursor"))
    return page("expectations", room="expectations", asked=wanted, found=found, looks=expectations.LOOKS)


@blueprint.get("/suggestions")
def suggested() -> Response:
    """What the past suggests, in ``timezone``, or of one ``deployment``; the page's own script asks for the list."""
    deployment, zone = (request.args.get(name, "").strip() for name in ("deployment", "timezone"))
    given: dict[str, Any] = {"deployment": deployment, "zone": zone, "found": [], "problem": ""}
    if is_part():
        try:
            with reading() as session:
                given["found"] = suggestions.suggest(session, zone or "UTC", now(), deployment or None)
        except ScheduleError as error:
            given["problem"] = str(error)
    return page("expectation_suggestions", room="expectations", **given)


@blueprint.get("/<uuid:expectation_id>")
def one(expectation_id: uuid.UUID) -> Response:
    """One expectation: what it says, what became of it, what is open."""
    with reading() as session:
        row = service.get(session, expectation_id)
        status, cursor = request.args.get("status", ""), request.args.get("cursor")
        loaded = expectations.load(session, row, status, cursor, now())
    return page("expectation", room="expectations", page=loaded, row=row, looks=expectations.LOOKS)


@blueprint.post("/<uuid:expectation_id>/switch")
@needs("editor")
def switch(expectation_id: uuid.UUID) -> AnyResponse:
    """Turn it off, or on again."""
    with transaction() as session:
        row = service.get(session, expectation_id)
        row = service.switch(session, row.id, not row.active, actor(), now())
    return done(f"{row.name} is {'on' if row.active else 'off'}", _here(expectation_id))


@blueprint.post("/<uuid:expectation_id>/mute")
@needs("editor")
def mute(expectation_id: uuid.UUID) -> AnyResponse:
    """Do nothing about misses for a while, or do something again."""
    at = now()
    with transaction() as session:
        row = service.get(session, expectation_id)
        is_muted = row.muted_until is not None and row.muted_until > at
        row = service.mute(session, row.id, None if is_muted else at + MUTED, actor(), at)
    return done(f"{row.name} is {'no longer muted' if is_muted else 'muted for 4 hours'}", _here(expectation_id))


@blueprint.post("/<uuid:expectation_id>/delete")
@needs("editor")
def delete(expectation_id: uuid.UUID) -> AnyResponse:
    """Delete it with its occurrences."""
    with transaction() as session:
        row = service.get(session, expectation_id)
        service.delete(session, row.id, actor(), now())
    return done(f"{row.name} is deleted", url_for("web.expectations.show"), go=True)


def _here(expectation_id: uuid.UUID) -> str:
    return url_for("web.expectations.one", expectation_id=expectation_id)
