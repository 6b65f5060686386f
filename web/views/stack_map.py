"""The stack map: all resources, how they are related and how well they are, now or at some time before."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, make_response, render_template, request

from orchestrator.clock import now
from orchestrator.errors import InvalidInput
from orchestrator.server.db.session import reading

from ..fragments import data
from ..panels import stack_map
from ..panels.events import instant

blueprint = Blueprint("map", __name__)


@blueprint.get("/map")
def show() -> Response:
    """The page; its script asks for what it draws."""
    kinds = request.args.get("kind", "")
    return make_response(render_template("pages/map.html", room="map", looks=stack_map.looks(), kind=kinds))


@blueprint.get("/map/data")
def drawn() -> Response:
    """What is drawn: ``kind`` narrows it, ``as_of`` asks for an earlier time."""
    with reading() as session:
        return data(stack_map.load(session, request.args.get("kind", ""), instant(request.args, "as_of")))


@blueprint.get("/map/eta")
def ahead() -> Response:
    """When the resource ``id`` will be fresh next."""
    identifier = request.args.get("id", "")
    if not identifier:
        raise InvalidInput("id is missing: name the resource")
    with reading() as session:
        return data(stack_map.ahead(session, identifier, now()))


@blueprint.get("/map/events")
def pulses() -> Response:
    """The events since ``after``; without it, where to ask from."""
    with reading() as session:
        return data(stack_map.pulses(session, _after(), now()))


def _after() -> uuid.UUID | None:
    text = request.args.get("after", "")
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise InvalidInput(f"after={text} is no event's id") from None
