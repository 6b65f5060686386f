"""Blocks: the list of documents, and the catalogue of types to make one of."""

from __future__ import annotations

from flask import Blueprint, Response, request

from orchestrator.server.db.session import reading

from ..fragments import data, page
from ..panels import blocks

blueprint = Blueprint("blocks", __name__)


@blueprint.get("/blocks")
def show() -> Response:
    """The list, narrowed by ``q``, ``type`` and ``interface``."""
    wanted = blocks.asked(request.args)
    with reading() as session:
        loaded = blocks.listing(session, wanted, request.args.get("cursor"))
    return page("blocks", room="blocks", page=loaded, asked=wanted)


@blueprint.get("/blocks/catalogue")
def catalogue() -> Response:
    """All types, by interface, narrowed by ``q`` and ``interface``."""
    wanted = blocks.asked(request.args)
    with reading() as session:
        loaded = blocks.catalogue(session, wanted)
    return page("catalogue", room="blocks", page=loaded, asked=wanted)


@blueprint.get("/blocks/choices")
def choices() -> Response:
    """What a field that holds a block of ``?of=`` may choose from."""
    with reading() as session:
        return data(blocks.choices(session, request.args.get("of", blocks.ANY)))
