"""Pings: the list; made, given a new address, deleted. An address is shown once."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, make_response, render_template, request, session, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.receiving import pings as service

from ..access import actor, is_part, needs
from ..fragments import done, page
from ..panels import pings

blueprint = Blueprint("pings", __name__, url_prefix="/pings")

#: Where a new address waits, in the visitor's own session, until it is shown once.
_FRESH = "ping-address"


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q``; an address that was just made stands above it."""
    text = request.args.get("q", "").strip()
    with reading() as database:
        found = pings.listing(database, text, request.args.get("cursor"))
    fresh = None if is_part() else session.pop(_FRESH, None)
    url = service.address(fresh[1], request.url_root) if fresh else ""
    placeholder = service.address("TOKEN", request.url_root)
    shown = {"name": fresh[0] if fresh else "", "url": url, "lines": pings.lines(url or placeholder)}
    return page("pings", room="pings", text=text, found=found, fresh=shown)


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The form."""
    return _form({}, {})


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Make it, and show its address."""
    try:
        wanted = pings.read(request.form)
        with transaction() as database:
            made, token = service.create(database, **wanted, actor=actor(), now=now())
    except InvalidInput as error:
        return _form(request.form.to_dict(), error.errors or {"": [str(error)]}, 422)
    except Conflict as error:
        return _form(request.form.to_dict(), {"name": [f"{str(error)[:1].upper()}{str(error)[1:]}."]}, 409)
    session[_FRESH] = [made.name, token]
    return redirect(url_for("web.pings.show"), 303)


@blueprint.post("/<uuid:ping_id>/rotate")
@needs("editor")
def rotate(ping_id: uuid.UUID) -> AnyResponse:
    """Give it a new address, and show that."""
    with transaction() as database:
        found, token = service.rotate(database, ping_id, actor(), now())
    session[_FRESH] = [found.name, token]
    return done(f"{found.name} has a new address", url_for("web.pings.show"), go=True)


@blueprint.post("/<uuid:ping_id>/delete")
@needs("editor")
def delete(ping_id: uuid.UUID) -> AnyResponse:
    """Delete it."""
    with transaction() as database:
        name = service.get(database, ping_id).name
        service.delete(database, ping_id, actor(), now())
    return done(f"Deleted {name}", url_for("web.pings.show"))


def _form(sent: dict[str, str], errors: dict[str, list[str]], status: int = 200) -> Response:
    return make_response(render_template("pages/ping_form.html", room="pings", sent=sent, errors=errors), status)
